import { spawn } from 'node:child_process'
import { kubectlCommand } from '../kubectl.ts'

/** A port of this machine that leads to one of a pod or Service. */
export type PortForward = { port: number; url: string; close(): void }

/** Opens a way to `target` (`pod/x`, `service/x`), on a free port of this machine; it ends with its pod. */
export function portForward(namespace: string, target: string, port: number): Promise<PortForward> {
  const [program, args, env] = kubectlCommand(['port-forward', '-n', namespace, target, `:${port}`])
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  return new Promise((resolve, reject) => {
    let said = ''
    const listen = (chunk: Buffer) => {
      said += chunk
      const local = Number(/Forwarding from 127\.0\.0\.1:(\d+)/.exec(said)?.[1])
      if (local) resolve({ port: local, url: `http://127.0.0.1:${local}`, close: () => child.kill() })
    }
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    child.once('exit', () => reject(new Error(`No way to ${target} of ${namespace}: ${said}`)))
    child.once('error', reject)
  })
}
