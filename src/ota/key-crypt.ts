import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  type KeyObject,
  randomBytes,
  type ScryptOptions,
  scrypt,
} from 'node:crypto'

/**
 * A private key as text that a passphrase opens: salt, nonce, tag and the key's PKCS #8 under AES-256-GCM, its key made with
 * scrypt (RFC 7914). What Node writes by itself is no match for who guesses: 2048 rounds of PBKDF2. OpenSSL's own scrypt
 * files are not either, since it reads none that take more than 32 MiB.
 */

/** 128 MiB per guess (128 * N * r). Another cost needs another label. */
const cost: ScryptOptions = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 }
const label = 'SIGHTD PRIVATE KEY'
const cipherName = 'aes-256-gcm'
const saltBytes = 16
const nonceBytes = 12
const tagBytes = 16
const headBytes = saltBytes + nonceBytes + tagBytes

export async function sealKey(secret: KeyObject, passphrase: string): Promise<string> {
  const salt = derived?.passphrase === passphrase ? derived.salt : randomBytes(saltBytes)
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv(cipherName, await keyOf(passphrase, salt), nonce)
  const sealed = Buffer.concat([cipher.update(secret.export({ type: 'pkcs8', format: 'der' })), cipher.final()])
  const body = Buffer.concat([salt, nonce, cipher.getAuthTag(), sealed])
  return `-----BEGIN ${label}-----\n${body.toString('base64')}\n-----END ${label}-----\n`
}

/** What is in a text that looks like a sealed key; undefined for any other. */
export function sealedBody(text: string): Buffer | undefined {
  const [, base64 = ''] =
    new RegExp(`^-----BEGIN ${label}-----\\s+([\\w+/=]+)\\s+-----END ${label}-----\\s*$`).exec(text) ?? []
  const body = Buffer.from(base64, 'base64')
  return body.length > headBytes ? body : undefined
}

/** Undefined when the passphrase is wrong, or the text was changed. */
export async function unsealKey(body: Buffer, passphrase: string): Promise<KeyObject | undefined> {
  const [salt, nonce] = [body.subarray(0, saltBytes), body.subarray(saltBytes, saltBytes + nonceBytes)]
  const decipher = createDecipheriv(cipherName, await keyOf(passphrase, salt), nonce)
  decipher.setAuthTag(body.subarray(saltBytes + nonceBytes, headBytes))
  try {
    const der = Buffer.concat([decipher.update(body.subarray(headBytes)), decipher.final()])
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } catch {
    return undefined
  }
}

/** The last one: keys that are made together share passphrase and salt, and a command that needs several pays once. */
let derived: { readonly passphrase: string; readonly salt: Buffer; readonly key: Buffer } | undefined

async function keyOf(passphrase: string, salt: Buffer): Promise<Buffer> {
  if (derived?.passphrase === passphrase && derived.salt.equals(salt)) return derived.key
  const key = await new Promise<Buffer>((resolve, reject) => {
    scrypt(passphrase, salt, 32, cost, (error, made) => (error === null ? resolve(made) : reject(error)))
  })
  derived = { passphrase, salt, key }
  return key
}
