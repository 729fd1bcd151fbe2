import type { Image } from '../api/instance/image.ts'

/** The image that is wanted: what the spec says, and the operator's own release for what it leaves out. */
export function imageOf(image: Image, release: string): string {
  const { repository, tag, digest } = image
  const own = splitImage(release)
  const name = repository ?? own.repository
  if (digest !== undefined) return `${name}@${digest}`
  if (tag !== undefined) return `${name}:${tag}`
  return repository === undefined || repository === own.repository ? release : `${name}${own.suffix}`
}

/** The part of an image that says which release it is, where it can be a label; else undefined. */
export function versionOf(image: string): string | undefined {
  const version = /:([A-Za-z0-9][A-Za-z0-9_.-]{0,61}[A-Za-z0-9]|[A-Za-z0-9])$/.exec(image.split('@')[0] ?? '')?.[1]
  return version?.includes('/') ? undefined : version
}

function splitImage(image: string): { repository: string; suffix: string } {
  const repository = image.replace(/@sha256:[a-f0-9]{64}$/, '').replace(/:[^/:]+$/, '')
  return { repository, suffix: image.slice(repository.length) }
}
