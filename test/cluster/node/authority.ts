// The certificate library needs this before it is loaded.
import 'reflect-metadata'
import { KeyObject, randomBytes, webcrypto } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000
const DAYS = 365
const CAN_SIGN = KeyUsageFlags.keyCertSign | KeyUsageFlags.digitalSignature

/** Who a certificate is for: `name` is the Kubernetes user, `group` its group, `hosts` the addresses of a server. */
export type Subject = { name: string; group?: string; hosts?: string[] }

/** A certificate authority that lives as long as the process: its key is written nowhere but where `save` is told to. */
export class Authority {
  readonly #folder: string
  readonly #keys: webcrypto.CryptoKeyPair
  readonly #certificate: X509Certificate

  private constructor(folder: string, keys: webcrypto.CryptoKeyPair, certificate: X509Certificate) {
    this.#folder = folder
    this.#keys = keys
    this.#certificate = certificate
  }

  /** Makes an authority; `<name>.crt` and `<name>.key` go to `folder`, and so does all that it signs. */
  static async create(folder: string, name: string): Promise<Authority> {
    const keys = await generateKeys()
    const certificate = await X509CertificateGenerator.createSelfSigned({
      ...validity(),
      name: [{ CN: [name] }],
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(CAN_SIGN, true)],
    })
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await save(folder, name, keys, certificate)
    return new Authority(folder, keys, certificate)
  }

  /** Writes `<file>.crt` and `<file>.key` for a subject, valid for a year as client and, with hosts, as server. */
  async issue(file: string, { name, group, hosts = [] }: Subject): Promise<void> {
    const keys = await generateKeys()
    const usages = [ExtendedKeyUsage.clientAuth, ...(hosts.length > 0 ? [ExtendedKeyUsage.serverAuth] : [])]
    const alternatives = hosts.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value }))
    const certificate = await X509CertificateGenerator.create({
      ...validity(),
      subject: [...(group ? [{ O: [group] }] : []), { CN: [name] }],
      issuer: this.#certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension(usages),
        ...(alternatives.length > 0 ? [new SubjectAlternativeNameExtension(alternatives)] : []),
      ],
    })
    await save(this.#folder, file, keys, certificate)
  }
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>
}

/** From yesterday, for clocks that differ. */
function validity(): { serialNumber: string; notBefore: Date; notAfter: Date } {
  const now = Date.now()
  // A leading 01 keeps the number positive.
  const serialNumber = `01${randomBytes(8).toString('hex')}`
  return { serialNumber, notBefore: new Date(now - DAY_MS), notAfter: new Date(now + DAYS * DAY_MS) }
}

async function save(
  folder: string,
  file: string,
  keys: webcrypto.CryptoKeyPair,
  certificate: X509Certificate,
): Promise<void> {
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' })
  await writeFile(join(folder, `${file}.key`), key, { mode: 0o600 })
  await writeFile(join(folder, `${file}.crt`), certificate.toString('pem'))
}
