// The certificate library needs this before it is loaded.
import 'reflect-metadata'
import { KeyObject, randomBytes, webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { KubeObject } from '../api/object.ts'
import { BACKUP_ROLE } from '../api/provisions.ts'
import { CHILD_ANNOTATIONS } from '../desired/annotations.ts'
import type { Manifest } from '../desired/child.ts'
import { DATABASE_CA_FILE } from '../desired/database/access.ts'
import { DATABASE_PORT } from '../desired/database/service.ts'
import { HASH_KEY_FIELD } from '../desired/hash-key.ts'
import type { RandomContent } from '../plan/action.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000
const DATABASE = 'storage'
const OWNER = 'storage_owner'
const SERVICE = 'storage_app'

/** A Secret with what is in it, in base64. */
export type SecretContent = KubeObject & { data?: Record<string, string> }

/**
 * Fills a Secret with random content: credentials of the managed database, a key for hashes, or a certificate with an authority of its own, valid
 * for as long as the shell says.
 */
export async function issue(content: RandomContent, shell: Manifest, now: Date): Promise<Manifest> {
  if (content === 'hashKey') return hashKey(shell)
  if (content === 'backupCredentials') return backupCredentials(shell)
  const stringData = content === 'credentials' ? credentials(hostOf(shell)) : await certificate(shell, now)
  return { ...shell, type: content === 'credentials' ? 'Opaque' : 'kubernetes.io/tls', stringData }
}

/** A certificate in the place of the one of `live`, whose authority stays trusted beside the new one. */
export async function reissue(live: SecretContent, shell: Manifest, now: Date): Promise<Record<string, string>> {
  const former = Buffer.from(live.data?.['ca.crt'] ?? '', 'base64').toString('utf8')
  // The newest comes first; those before it are of no use to anybody.
  const [newest = ''] = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(former) ?? []
  const fresh = await certificate(shell, now)
  return { ...fresh, 'ca.crt': `${fresh['ca.crt']}\n${newest}\n` }
}

/** Immutable: with another key every hash would differ, and look like other credentials. */
function hashKey(shell: Manifest): Manifest {
  return { ...shell, type: 'Opaque', immutable: true, stringData: { [HASH_KEY_FIELD]: randomPassword() } }
}

function hostOf({ metadata }: Manifest): string {
  return `${metadata.name.replace(/-(tls|backup)$/, '')}.${metadata.namespace}.svc`
}

/** What a managed database and its clients use of that Secret. */
export const CREDENTIAL_FIELDS = ['uri', 'username', 'password', 'owner-uri', 'owner-username', 'owner-password']

/** Immutable, so that it is what the role was given: another password takes another Secret. */
function backupCredentials(shell: Manifest): Manifest {
  return { ...shell, type: 'Opaque', immutable: true, stringData: loginOf(hostOf(shell), BACKUP_ROLE) }
}

/** The keys are those that CloudNativePG gives its own Secrets, so that clients of the one understand the other. */
function credentials(host: string): Record<string, string> {
  const owner = loginOf(host, OWNER)
  return {
    ...loginOf(host, SERVICE),
    'owner-username': owner.username,
    'owner-password': owner.password,
    'owner-uri': owner.uri,
  }
}

function loginOf(host: string, username: string) {
  const password = randomPassword()
  const tls = `sslmode=verify-full&sslrootcert=${DATABASE_CA_FILE}`
  const uri = `postgresql://${username}:${password}@${host}:${DATABASE_PORT}/${DATABASE}?${tls}`
  return { username, password, dbname: DATABASE, host, port: String(DATABASE_PORT), uri }
}

function randomPassword(): string {
  return randomBytes(32).toString('base64url')
}

/** The key of the authority is thrown away: nothing else can ever be signed with it. */
async function certificate(shell: Manifest, now: Date): Promise<Record<string, string>> {
  const [authorityKeys, keys] = await Promise.all([generateKeys(), generateKeys()])
  const validFor = validity(shell, now)
  const authority = await X509CertificateGenerator.createSelfSigned({
    ...validFor,
    serialNumber: serialNumber(),
    // A name of its own: of two authorities with one name OpenSSL tries the first one only.
    name: `CN=Sonoma Storage database ${randomBytes(4).toString('hex')}`,
    keys: authorityKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  })
  const server = await X509CertificateGenerator.create({
    ...validFor,
    serialNumber: serialNumber(),
    subject: 'CN=postgresql',
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(namesOf(hostOf(shell)).map((value) => ({ type: 'dns', value }))),
    ],
  })
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString()
  return { 'ca.crt': authority.toString('pem'), 'tls.crt': server.toString('pem'), 'tls.key': key }
}

/** Every name by which a Service can be called from inside. */
function namesOf(host: string): string[] {
  const [name = '', namespace = ''] = host.split('.')
  return [name, `${name}.${namespace}`, host, `${host}.cluster.local`]
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>
}

/** A leading 01 keeps the number positive. */
function serialNumber(): string {
  return `01${randomBytes(8).toString('hex')}`
}

/** From yesterday, for clocks that differ, to what the Secret says of it. */
function validity({ metadata }: Manifest, now: Date): { notBefore: Date; notAfter: Date } {
  const notAfter = new Date(metadata.annotations?.[CHILD_ANNOTATIONS.expires] ?? '')
  return { notBefore: new Date(now.getTime() - DAY_MS), notAfter }
}
