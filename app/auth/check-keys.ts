import { createPublicKey, type JsonWebKey } from 'node:crypto'
import type { JSONWebKeySet, JWK } from 'jose'

/** Throws where a key set must not take the place of another: it holds no public key, or one key id more than once. */
export function checkKeys({ keys }: JSONWebKeySet): void {
  const ids = new Set<string>()
  for (const { kid } of keys) {
    if (kid === undefined) continue
    if (ids.has(kid))
      throw new Error(`the key server answered two keys with the id ${JSON.stringify(kid).slice(0, 100)}`)
    ids.add(kid)
  }
  if (!keys.some(isPublicKey)) throw new Error('the key server answered a key set without a public key')
}

function isPublicKey(jwk: JWK): boolean {
  try {
    createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    return true
  } catch {
    return false
  }
}
