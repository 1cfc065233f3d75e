import { createHash, createPublicKey } from 'node:crypto'
import { isJsonObject } from '../lib/json.ts'

/** A public key as metadata carries it. */
export type KeyFields = {
  readonly keytype: string
  readonly scheme: string
  readonly keyval: { readonly public: string; readonly [name: string]: string }
}

/** The order of edwards25519's main subgroup (RFC 8032, 5.1). */
const groupOrder = 2n ** 252n + 27742317777372353535851937790883648493n
const fieldPrime = 2n ** 255n - 19n

/**
 * The y of the points whose order divides 8, as in libsodium's list of refused keys (crypto_core/ed25519,
 * `ge25519_has_small_order`); y = p and p + 1 on it are not canonical and fall to that rule. With such a key anybody
 * can make signatures that fit: OpenSSL 3.0 took them, 3.5 does not.
 */
const smallOrderYs = new Set([
  0n,
  1n,
  fieldPrime - 1n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
])

/** The id of a key, as python-tuf and securesystemslib make it: the digest of the fields that the specification knows. */
export function keyIdOf({ keytype, scheme, keyval }: KeyFields): string {
  return digestOf({ keytype, scheme, keyval })
}

/**
 * Whether an id belongs to a key. The specification (4.2) has the digest of the key's canonical JSON, and tuf-on-ci that of
 * all its fields; both leave no choice of another key.
 */
export function isKeyId(id: string, key: KeyFields): boolean {
  return id === keyIdOf(key) || id === digestOf(key)
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex')
}

/** Canonical JSON (specification 1.0, 4.1) of what JSON.parse gave. */
function canonical(value: unknown): string {
  if (typeof value === 'string') return `"${value.replace(/[\\"]/g, '\\$&')}"`
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isJsonObject(value)) return String(value)
  const names = Object.keys(value).sort()
  return `{${names.map((name) => `${canonical(name)}:${canonical(value[name])}`).join(',')}}`
}

/** What is wrong with a key of a kind that we use; undefined for one that is right or that we don't use. */
export function keyFault(key: KeyFields): string | undefined {
  if (!isEd25519(key)) return undefined
  if (!/^[0-9a-f]{64}$/.test(key.keyval.public)) return 'an Ed25519 key is 64 lower-case hexadecimal digits'
  const y = littleEndian(key.keyval.public) & (2n ** 255n - 1n)
  if (y >= fieldPrime) return 'an Ed25519 key that is not canonical'
  return smallOrderYs.has(y) ? 'an Ed25519 key of small order, for which anybody can sign' : undefined
}

/**
 * What makes a key different from others whatever its id; undefined for a key that we don't verify with. Such keys count
 * for nothing and harm nothing. We use Ed25519 as hexadecimal digits, and ECDSA on P-256 with SHA-256 as PEM.
 */
export function keyMaterial(key: KeyFields): string | undefined {
  if (isEd25519(key)) return `ed25519 ${key.keyval.public}`
  if (!isEcdsa(key) || !key.keyval.public.startsWith('-----BEGIN PUBLIC KEY-----')) return undefined
  try {
    const point = createPublicKey(key.keyval.public)
    if (point.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return undefined
    const { x, y } = point.export({ format: 'jwk' })
    return `p256 ${x} ${y}`
  } catch {
    return undefined
  }
}

/**
 * A signature in the one form that we take: lower-case hexadecimal digits, since Buffer.from stops silently at others. For
 * Ed25519 it is R and S with S below the group's order (RFC 8032, 5.1.7), for ECDSA a DER sequence of at most 72 bytes.
 */
export function isSignatureForm(key: KeyFields, sig: string): boolean {
  if (!isEd25519(key)) return /^(30[0-9a-f]{2})([0-9a-f]{2}){6,70}$/.test(sig)
  return /^[0-9a-f]{128}$/.test(sig) && littleEndian(sig.slice(64)) < groupOrder
}

function isEd25519({ keytype, scheme }: KeyFields): boolean {
  return keytype === 'ed25519' && scheme === 'ed25519'
}

function isEcdsa({ keytype, scheme }: KeyFields): boolean {
  return scheme === 'ecdsa-sha2-nistp256' && (keytype === 'ecdsa' || keytype === scheme)
}

function littleEndian(hex: string): bigint {
  return BigInt(`0x${Buffer.from(hex, 'hex').reverse().toString('hex')}`)
}
