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
import type { Manifest } from './desired/child.ts'
import { DATABASE_CA_FILE } from './desired/database-access.ts'
import { DATABASE_PORT } from './desired/database-service.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000
/** Nothing renews a certificate: it lives longer than the release that PostgreSQL itself supports. */
const DAYS = 3_650
const DATABASE = 'storage'
const OWNER = 'storage_owner'
const SERVICE = 'storage_app'

/** Fills a Secret with random content: credentials of the managed database, or a certificate with an authority of its own. */
export async function issue(content: 'credentials' | 'certificate', shell: Manifest, now: Date): Promise<Manifest> {
  const host = `${shell.metadata.name.replace(/-tls$/, '')}.${shell.metadata.namespace}.svc`
  const stringData = content === 'credentials' ? credentials(host) : await certificate(host, now)
  return { ...shell, type: content === 'credentials' ? 'Opaque' : 'kubernetes.io/tls', stringData }
}

/** The keys are those that CloudNativePG gives its own Secrets, so that clients of the one understand the other. */
function credentials(host: string): Record<string, string> {
  const [password, ownerPassword] = [randomPassword(), randomPassword()]
  const tls = `sslmode=verify-full&sslrootcert=${DATABASE_CA_FILE}`
  const uriOf = (role: string, secret: string) =>
    `postgresql://${role}:${secret}@${host}:${DATABASE_PORT}/${DATABASE}?${tls}`
  return {
    username: SERVICE,
    password,
    dbname: DATABASE,
    host,
    port: String(DATABASE_PORT),
    uri: uriOf(SERVICE, password),
    'owner-username': OWNER,
    'owner-password': ownerPassword,
    'owner-uri': uriOf(OWNER, ownerPassword),
  }
}

function randomPassword(): string {
  return randomBytes(32).toString('base64url')
}

/** The key of the authority is thrown away: nothing else can ever be signed with it. */
async function certificate(host: string, now: Date): Promise<Record<string, string>> {
  const [authorityKeys, keys] = await Promise.all([generateKeys(), generateKeys()])
  const issuer = 'CN=Sonoma Storage database'
  const authority = await X509CertificateGenerator.createSelfSigned({
    ...validity(now),
    name: issuer,
    keys: authorityKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  })
  const server = await X509CertificateGenerator.create({
    ...validity(now),
    subject: 'CN=postgresql',
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(namesOf(host).map((value) => ({ type: 'dns', value }))),
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

/** From yesterday, for clocks that differ. */
function validity(now: Date): { serialNumber: string; notBefore: Date; notAfter: Date } {
  // A leading 01 keeps the number positive.
  const serialNumber = `01${randomBytes(8).toString('hex')}`
  return {
    serialNumber,
    notBefore: new Date(now.getTime() - DAY_MS),
    notAfter: new Date(now.getTime() + DAYS * DAY_MS),
  }
}
