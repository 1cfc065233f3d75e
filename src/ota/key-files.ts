import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto'
import { open, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as v from 'valibot'
import { SightdError } from '../core/errors.ts'
import { makeFolderDurably, syncFolder, writeFileAtomic } from '../lib/atomic-file.ts'
import { describeDiskError, errorCode } from '../lib/disk-error.ts'
import { readSecretBytes, readSmallFile } from '../lib/secret-file.ts'
import { canonicalJson, type PublicKey, publicKeySchema, type Signature } from './documents.ts'
import { sealedBody, sealKey, unsealKey } from './key-crypt.ts'
import { keyFault, keyIdOf } from './keys.ts'

/**
 * An operator's keys: `NAME.pem`, a private key (Ed25519, encrypted with a passphrase, mode 0600), and
 * `NAME.pub.json`, what may be shown to anyone. Of a key that is kept elsewhere only the second is here.
 */
export type KeyEntry = {
  readonly name: string
  readonly id: string
  readonly key: PublicKey
  readonly hasSecret: boolean
}

/** A key that is ready to sign. */
export type Signer = { readonly id: string; readonly key: PublicKey; readonly sign: (document: unknown) => Signature }

/** What to unlock a key file with: called again, with `isRetry`, while it does not fit and there may be another. */
export type AskPassphrase = (path: string, isRetry: boolean) => Promise<string | undefined>

/** A key that is not on any disk yet. */
export type NewKey = { readonly name: string; readonly signer: Signer; readonly secret: KeyObject }

const minPassphraseLength = 8
const maxPassphraseBytes = 1000

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export function makeKey(name: string): NewKey {
  if (!namePattern.test(name))
    throw new SightdError('ota_failed', `${JSON.stringify(name)} is no name for a key: letters, digits, ".", "_", "-"`)
  const { privateKey } = generateKeyPairSync('ed25519')
  return { name, signer: signerOf(privateKey), secret: privateKey }
}

/** Puts a new key on the disk for good; never over another. */
export async function writeKey(folder: string, { name, signer, secret }: NewKey, passphrase: string): Promise<void> {
  if (passphrase.length < minPassphraseLength)
    throw new SightdError('ota_failed', `the passphrase has to have at least ${minPassphraseLength} characters`)
  // As many as OpenSSL takes for the files of an older sightd: one passphrase has to do for both.
  if (Buffer.byteLength(passphrase) > maxPassphraseBytes)
    throw new SightdError('ota_failed', `the passphrase may have at most ${maxPassphraseBytes} bytes`)
  const pem = await sealKey(secret, passphrase)
  const path = join(folder, `${name}.pem`)
  try {
    await makeFolderDurably(folder)
    await using file = await open(path, 'wx', 0o600)
    await file.writeFile(pem)
    await file.sync()
    await syncFolder(folder)
    await writeFileAtomic(join(folder, `${name}.pub.json`), `${JSON.stringify(signer.key)}\n`, 0o644)
  } catch (error) {
    const found = errorCode(error) === 'EEXIST' ? 'there is a key already' : describeDiskError(error)
    throw new SightdError('ota_failed', `${path}: can't be written: ${found}`, { cause: error })
  }
}

/** All keys in a folder by their names; none when there is no such folder. */
export async function listKeys(folder: string): Promise<KeyEntry[]> {
  const names = await namesIn(folder)
  const entries: KeyEntry[] = []
  for (const file of names.filter((name) => name.endsWith('.pub.json')).sort()) {
    const name = file.slice(0, -'.pub.json'.length)
    const key = await readPublicKey(join(folder, file))
    entries.push({ name, id: keyIdOf(key), key, hasSecret: names.includes(`${name}.pem`) })
  }
  return entries
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown): string[] => {
    if (errorCode(error) === 'ENOENT') return []
    throw new SightdError('ota_failed', `${folder}: can't be read: ${describeDiskError(error)}`)
  })
}

async function readPublicKey(path: string): Promise<PublicKey> {
  const { bytes } = await readSmallFile(path)
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), publicKeySchema), bytes.toString('utf8'))
  if (!parsed.success) throw new SightdError('ota_failed', `${path}: not a public key as sightd writes it`)
  const fault = keyFault(parsed.output)
  if (fault !== undefined) throw new SightdError('ota_failed', `${path}: ${fault}`)
  return parsed.output
}

/** Throws a SightdError: others may read the file, it is no such key, or no passphrase fits. */
export async function unlockKey(path: string, ask: AskPassphrase): Promise<Signer> {
  const pem = await readSecretBytes(path)
  const body = sealedBody(pem.toString('latin1'))
  if (body === undefined && !pem.includes('BEGIN ENCRYPTED PRIVATE KEY'))
    throw new SightdError('ota_failed', `${path}: not a private key that is encrypted with a passphrase`)
  for (let isRetry = false; ; isRetry = true) {
    const passphrase = await ask(path, isRetry)
    if (passphrase === undefined)
      throw new SightdError('ota_failed', `${path}: the passphrase is wrong${isRetry ? '' : ', or there is none'}`)
    const secret = body === undefined ? decryptPem(pem, passphrase) : await unsealKey(body, passphrase)
    if (secret === undefined) continue
    if (secret.asymmetricKeyType === 'ed25519') return signerOf(secret)
    throw new SightdError('ota_failed', `${path}: not an Ed25519 key`)
  }
}

/** As an older sightd wrote them. */
function decryptPem(pem: Buffer, passphrase: string): KeyObject | undefined {
  try {
    return createPrivateKey({ key: pem, format: 'pem', passphrase })
  } catch {
    // OpenSSL has several words for a wrong passphrase, and for a damaged file the same ones.
    return undefined
  }
}

function signerOf(secret: KeyObject): Signer {
  const { x = '' } = createPublicKey(secret).export({ format: 'jwk' })
  const hex = Buffer.from(x, 'base64url').toString('hex')
  const key: PublicKey = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: hex } }
  const id = keyIdOf(key)
  return {
    id,
    key,
    sign: (document) => ({
      keyid: id,
      sig: signBytes(null, Buffer.from(canonicalJson(document)), secret).toString('hex'),
    }),
  }
}

/** The keys of a folder, unlocked as they are needed. */
export class Keyring {
  readonly folder: string
  readonly entries: readonly KeyEntry[]
  readonly #taken: ReadonlySet<string>
  readonly #ask: AskPassphrase
  readonly #unlocked = new Map<string, Signer>()
  readonly #newNames = new Map<string, string>()

  private constructor(folder: string, entries: readonly KeyEntry[], taken: ReadonlySet<string>, ask: AskPassphrase) {
    this.folder = folder
    this.entries = entries
    this.#taken = taken
    this.#ask = ask
  }

  static async open(folder: string, ask: AskPassphrase): Promise<Keyring> {
    const taken = (await namesIn(folder)).map((name) => name.replace(/\.(pem|pub\.json)$/, ''))
    return new Keyring(folder, await listKeys(folder), new Set(taken), ask)
  }

  /** A key that was just made signs like those that are there. */
  add({ name, signer }: NewKey): void {
    this.#unlocked.set(signer.id, signer)
    this.#newNames.set(signer.id, name)
  }

  /** Undefined when the private key is not in this folder. */
  async signer(id: string): Promise<Signer | undefined> {
    const unlocked = this.#unlocked.get(id)
    if (unlocked !== undefined) return unlocked
    const entry = this.entries.find((one) => one.id === id && one.hasSecret)
    if (entry === undefined) return undefined
    const path = join(this.folder, `${entry.name}.pem`)
    const signer = await unlockKey(path, this.#ask)
    if (signer.id !== id)
      throw new SightdError(
        'ota_failed',
        `${path}: not the private part of ${basename(dirname(path))}/${entry.name}.pub.json`,
      )
    this.#unlocked.set(id, signer)
    return signer
  }

  /** `root-1`, or the first digits of the id of a key whose public part is not here. */
  nameOf(id: string): string {
    return this.entries.find((entry) => entry.id === id)?.name ?? this.#newNames.get(id) ?? `key ${id.slice(0, 8)}`
  }

  /** `root-2` and on when there is a `root-1`; not that of a private key without its public part either. */
  freeNames(stem: string, count: number): string[] {
    const names: string[] = []
    for (let i = 1; names.length < count; i++) if (!this.#taken.has(`${stem}-${i}`)) names.push(`${stem}-${i}`)
    return names
  }
}
