import { generateKeyPairSync, verify } from 'node:crypto'
import { chmod, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
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
  expect(await readFile(join(folder, 'root-1.pem'), 'utf8')).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/)
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

test('a key is never written over another, and no passphrase is too short to be one', async () => {
  const folder = await folderWith('root-1')
  await expect(writeKey(folder, makeKey('root-1'), await right())).rejects.toThrow('there is a key already')
  await expect(writeKey(folder, makeKey('root-2'), 'short')).rejects.toThrow('at least 8 characters')
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
