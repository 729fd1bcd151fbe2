import { run } from '../../image/command.ts'
import { Refusal } from '../refusal.ts'

/** A network of four addresses: the machine has the second, the node the third. */
export type Subnet = { host: string; node: string; prefix: number }

const CANDIDATES = Array.from({ length: 256 }, (_, index) => `10.213.${index}.0`)
const PREFIX = 30

/** The ranges that this machine has routes to. */
export async function rangesInUse(): Promise<string[]> {
  const routes = await run('ip', ['-4', '-json', 'route', 'show', 'table', 'all'])
  return (JSON.parse(routes || '[]') as { dst: string }[]).map(({ dst }) => dst).filter((dst) => dst !== 'default')
}

/** A network that meets none of these ranges; refuses where all of 10.213.0.0/16 is taken. */
export function freeSubnet(taken: string[]): Subnet {
  const free = CANDIDATES.find((candidate) => !taken.some((range) => overlaps(`${candidate}/${PREFIX}`, range)))
  if (!free) {
    throw new Refusal(
      'No address range is free: routes of this machine cover all of 10.213.0.0/16: take one of them away ' +
        '(`ip route`), or set KUBECONFIG to a cluster that exists.',
    )
  }
  const base = free.replace(/0$/, '')
  return { host: `${base}1`, node: `${base}2`, prefix: PREFIX }
}

/** Whether two ranges (`10.0.0.0/8`; a lone address is a range of one) share an address. */
export function overlaps(one: string, other: string): boolean {
  const [first, second] = [parseRange(one), parseRange(other)]
  const shift = 2 ** (32 - Math.min(first.prefix, second.prefix))
  return Math.floor(first.address / shift) === Math.floor(second.address / shift)
}

function parseRange(range: string): { address: number; prefix: number } {
  const [address = '', prefix = '32'] = range.split('/')
  return { address: address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0), prefix: Number(prefix) }
}
