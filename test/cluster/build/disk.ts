import { mkdir, statfs } from 'node:fs/promises'
import { Refusal } from '../refusal.ts'

/** Refuses where the disk that holds `folder` has less than `leastBytes` free. */
export async function checkDisk(folder: string, leastBytes: number): Promise<void> {
  await mkdir(folder, { recursive: true })
  const { bavail, bsize } = await statfs(folder)
  const freeBytes = bavail * bsize
  if (freeBytes >= leastBytes) return
  throw new Refusal(
    `Too little disk: ${gigabytes(freeBytes)} are free where ${folder} is, and ${gigabytes(leastBytes)} are needed: ` +
      'make room, set XDG_CACHE_HOME to a larger disk, or set KUBECONFIG to a cluster that exists.',
  )
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`
}
