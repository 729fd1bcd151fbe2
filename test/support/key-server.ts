import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { listen } from '../../app/listen.ts'
import type { Certificate } from './certificate.ts'
import { atEndOfFile } from './end-of-file.ts'

type Claims = Record<string, unknown> & { expiresIn?: string }

const DEFAULT_CLAIMS = {
  iss: 'https://kubernetes.example',
  aud: ['storage.sonoma.dev'],
  sub: 'system:serviceaccount:search:crawler',
}

/** A signing key of the cluster, and tokens made with it. */
export class SigningKey {
  readonly id: string
  readonly publicJwk: JWK
  readonly #privateKey: CryptoKey

  private constructor(id: string, publicJwk: JWK, privateKey: CryptoKey) {
    this.id = id
    this.publicJwk = publicJwk
    this.#privateKey = privateKey
  }

  static async create(id: string): Promise<SigningKey> {
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    return new SigningKey(id, { ...(await exportJWK(publicKey)), kid: id, alg: 'ES256', use: 'sig' }, privateKey)
  }

  /** A service account token; a claim that is undefined is left out. */
  token({ expiresIn = '1h', ...claims }: Claims = {}): Promise<string> {
    const payload = { ...DEFAULT_CLAIMS, ...claims }
    return new SignJWT(payload)
      .setProtectedHeader({ alg: 'ES256', kid: this.id })
      .setIssuedAt()
      .setExpirationTime(expiresIn)
      .sign(this.#privateKey)
  }
}

/** Stands in for the API server's `/openid/v1/jwks`: counts its fetches, and can be made to fail or to hang. */
export class KeyServer {
  keys: JWK[]
  fetches = 0
  /** What the last fetch was authorized with. */
  authorization: string | undefined
  status = 200
  /** What is answered in place of `keys`. */
  answer: unknown
  /** Whether requests are taken and not answered, until `release`. */
  isHanging = false
  url = ''
  readonly #held: ServerResponse[] = []
  readonly #server: Server

  constructor(keys: SigningKey[], certificate?: Certificate) {
    this.keys = keys.map((key) => key.publicJwk)
    const answer = (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response)
    this.#server = certificate ? createHttpsServer(certificate, answer) : createHttpServer(answer)
  }

  /** Starts a server that ends with the file. */
  static async start(keys: SigningKey[], certificate?: Certificate): Promise<KeyServer> {
    const server = new KeyServer(keys, certificate)
    const { port } = new URL(await listen(server.#server, '127.0.0.1', 0))
    server.url = `${certificate ? 'https' : 'http'}://127.0.0.1:${port}/openid/v1/jwks`
    atEndOfFile(() => server.stop())
    return server
  }

  /** Requests that wait for an answer, their callers being still there. */
  get hanging(): number {
    return this.#held.filter(({ destroyed }) => !destroyed).length
  }

  /** Answers those that hang; later ones are answered at once. */
  release(): void {
    this.isHanging = false
    for (const response of this.#held.splice(0)) this.#send(response)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.fetches += 1
    this.authorization = request.headers.authorization
    if (this.isHanging) this.#held.push(response)
    else this.#send(response)
  }

  #send(response: ServerResponse): void {
    const { answer = { keys: this.keys } } = this
    response.writeHead(this.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }
}
