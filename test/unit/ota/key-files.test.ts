import {
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  scryptSync,
  verify,
} from 'node:crypto'
import { chmod, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { canonicalJson } from '../../../src/ota/documents.ts'
import { Keyring, listKeys, makeKey, unlockKey, writeKey } from '../../../src/ota/key-files.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const right = async () => 'a long passphrase'

async function folderWith(...names: string[]): Promise<string> {
  const folder = join(await tempFolder(), 'keys')
  for (const name of names) await writeKey(folder, makeKey(name), await right())
  return folder
}

test('a key is two files: one for its owner alone, and encrypted, one for anyone', async () => {
  const folder = await folderWith('root-1')
  expect((await stat(join(folder, 'root-1.pem'))).mode & 0o777).toBe(0o600)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  expect(await readFile(join(folder, 'root-1.pem'), 'utf8')).toMatch(/^-----BEGIN SIGHTD PRIVATE KEY-----\n/)
  const [entry] = await listKeys(folder)
  expect(entry).toMatchObject({ name: 'root-1', hasSecret: true, key: { keytype: 'ed25519', scheme: 'ed25519' } })
})

test('a key that is unlocked signs what its public part verifies', async () => {
  const folder = await folderWith('root-1')
  const signer = await unlockKey(join(folder, 'root-1.pem'), right)
  const { sig } = signer.sign({ b: 1, a: ['x'] })
  const x = Buffer.from(signer.key.keyval.public, 'hex').toString('base64url')
  const key = { key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' } as const
  expect(verify(null, Buffer.from('{"a":["x"],"b":1}'), key, Buffer.from(sig, 'hex'))).toBe(true)
})

test('each guess at a passphrase costs 128 MiB and a good part of a second', async () => {
  const folder = await folderWith('root-1')
  const pem = await readFile(join(folder, 'root-1.pem'), 'utf8')
  const body = Buffer.from(pem.replaceAll(/-----.*-----|\n/g, ''), 'base64')
  const salt = body.subarray(0, 16)
  const key = scryptSync(await right(), salt, 32, { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 })
  const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(16, 28)).setAuthTag(body.subarray(28, 44))
  const der = Buffer.concat([decipher.update(body.subarray(44)), decipher.final()])
  const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const [entry] = await listKeys(folder)
  const { x = '' } = createPublicKey(secret).export({ format: 'jwk' })
  expect(Buffer.from(x, 'base64url').toString('hex')).toBe(entry?.key.keyval.public)
})

test('keys with one passphrase are opened at the cost of one, others are not', async () => {
  const folder = await folderWith('a-1', 'a-2')
  await writeKey(folder, makeKey('b-1'), 'another passphrase')
  const bodyOf = async (name: string) =>
    Buffer.from((await readFile(join(folder, `${name}.pem`), 'utf8')).replaceAll(/-----.*-----|\n/g, ''), 'base64')
  const [one, two, other] = [await bodyOf('a-1'), await bodyOf('a-2'), await bodyOf('b-1')]
  expect(one.subarray(0, 16)).toEqual(two.subarray(0, 16))
  expect(one.subarray(16, 28)).not.toEqual(two.subarray(16, 28))
  expect(other.subarray(0, 16)).not.toEqual(one.subarray(0, 16))
})

test('keys of an older sightd, which OpenSSL has encrypted, still sign', async () => {
  const folder = await folderWith('root-1')
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const passphrase = await right()
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
  const path = join(folder, 'root-1.pem')
  await writeFile(path, pem)
  const words = ['wrong', passphrase]
  const { sig } = (await unlockKey(path, async () => words.shift())).sign('x')
  expect(verify(null, Buffer.from('"x"'), publicKey, Buffer.from(sig, 'hex'))).toBe(true)
})

test.each([
  ['another tag', (body: Buffer) => body.fill(0, 28, 29), 'the passphrase is wrong'],
  ['another nonce', (body: Buffer) => body.fill(0, 16, 28), 'the passphrase is wrong'],
  ['half of it', (body: Buffer) => body.subarray(0, 40), 'not a private key that is encrypted'],
])('a damaged key file, %s, is not used', async (_, damage, words) => {
  const path = join(await folderWith('root-1'), 'root-1.pem')
  const [head = '', base64 = '', tail = ''] = (await readFile(path, 'utf8')).split('\n')
  const damaged = damage(Buffer.from(base64, 'base64')).toString('base64')
  await writeFile(path, `${head}\n${damaged}\n${tail}\n`)
  await expect(unlockKey(path, async (_path, isRetry) => (isRetry ? undefined : right()))).rejects.toThrow(words)
})

test('a key is never written over another, and no passphrase is too short to be one', async () => {
  const folder = await folderWith('root-1')
  await expect(writeKey(folder, makeKey('root-1'), await right())).rejects.toThrow('there is a key already')
  await expect(writeKey(folder, makeKey('root-2'), 'short')).rejects.toThrow('at least 8 characters')
  const long = 'é'.repeat(550)
  await expect(writeKey(folder, makeKey('root-2'), long)).rejects.toThrow('at most 1000 bytes')
  expect(await readdir(folder)).toEqual(['root-1.pem', 'root-1.pub.json'])
  expect(() => makeKey('../root')).toThrow('no name for a key')
})

test('a wrong passphrase is asked for again as long as there is another', async () => {
  const path = join(await folderWith('root-1'), 'root-1.pem')
  const words = ['wrong', 'wrong too', 'a long passphrase']
  await unlockKey(path, async () => words.shift())
  expect(words).toEqual([])
  await expect(unlockKey(path, async (_, isRetry) => (isRetry ? undefined : 'wrong'))).rejects.toThrow(
    'root-1.pem: the passphrase is wrong',
  )
})

test('a file that others can read, that is not encrypted or no Ed25519 key is not used', async () => {
  const folder = await folderWith('root-1')
  const path = join(folder, 'root-1.pem')
  await chmod(path, 0o640)
  await expect(unlockKey(path, right)).rejects.toThrow('others can read this secret')
  const plain = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
  await writeFile(path, plain)
  await chmod(path, 0o600)
  await expect(unlockKey(path, right)).rejects.toThrow('not a private key that is encrypted')
  const options = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: await right() } as const
  await writeFile(path, generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey.export(options))
  await expect(unlockKey(path, right)).rejects.toThrow('not an Ed25519 key')
})

test('a keyring has what is there, and takes no private key for another', async () => {
  const folder = await folderWith('root-1', 'root-2', 'root-3')
  await rm(join(folder, 'root-2.pem'))
  const keyring = await Keyring.open(folder, right)
  const [first, second] = keyring.entries
  expect(await keyring.signer(second?.id ?? '')).toBeUndefined()
  expect((await keyring.signer(first?.id ?? ''))?.id).toBe(first?.id)
  expect(keyring.nameOf(second?.id ?? '')).toBe('root-2')
  await rename(join(folder, 'root-3.pem'), join(folder, 'root-2.pem'))
  const mixed = await Keyring.open(folder, right)
  await expect(mixed.signer(second?.id ?? '')).rejects.toThrow('not the private part')
})

test('a private key whose public part was never written keeps its name', async () => {
  const folder = await folderWith('root-1', 'root-2')
  await rm(join(folder, 'root-1.pub.json'))
  expect((await Keyring.open(folder, right)).freeNames('root', 2)).toEqual(['root-3', 'root-4'])
})

test('canonical JSON is sorted, without spaces, and knows whole numbers only', () => {
  expect(canonicalJson({ b: [1, null, true], a: { 'x"\\': 'é\n' }, c: undefined })).toBe(
    '{"a":{"x\\"\\\\":"é\n"},"b":[1,null,true]}',
  )
  expect(() => canonicalJson({ a: 1.5 })).toThrow('no number 1.5')
})
