import type { AddressInfo, Server } from 'node:net'

/** Starts a server; answers its address as a URL. `::` is every address, of IPv4 alone where the machine has no IPv6. */
export async function listen(server: Server, host: string, port: number): Promise<string> {
  try {
    await listenOnce(server, host, port)
  } catch (error) {
    if (host !== '::' || !['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes((error as NodeJS.ErrnoException).code ?? '')) {
      throw error
    }
    await listenOnce(server, '0.0.0.0', port)
  }
  const { address, family, port: actual } = server.address() as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${actual}`
}

function listenOnce(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(error)
    server.once('error', onError)
    server.listen({ host, port }, () => {
      server.off('error', onError)
      resolve()
    })
  })
}
