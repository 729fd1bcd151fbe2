import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { Refusal } from '../refusal.ts'

/** Does `work` while no other process works on the cluster in `folder`; the kernel frees the lock even after a kill. */
export async function withLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const server = await listen(`\0sonoma-cluster-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`)
  try {
    return await work()
  } finally {
    server.close()
  }
}

function listen(path: string): Promise<Server> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', () => {
      reject(new Refusal('Another command works on this cluster (up or down): wait until it has ended, or end it.'))
    })
    server.listen(path, () => resolve(server))
  })
}
