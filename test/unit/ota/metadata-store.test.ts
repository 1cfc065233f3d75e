import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { TufClient } from '../../../src/ota/client.ts'
import { MetadataFolder } from '../../../src/ota/metadata-store.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { TufRepository, todayMs } from '../../support/tuf-repository.ts'

const { signal } = new AbortController()

describe('a folder of metadata', () => {
  test('row 26: holds the bytes as they were received', async () => {
    const folder = join(await tempFolder(), 'tuf')
    const repository = new TufRepository()
    repository.tellsHashes = false
    repository.root['custom-field'] = { 'what?': ['ä', '\u2028', 1] }
    repository.rotateRoot()
    repository.delegate('deploy', ['desired/*.json'])
    repository.release()
    for (const [name, bytes] of repository.files) repository.files.set(name, unusual(bytes))
    const options = { transport: repository, factoryRoot: repository.firstRoot, clockMs: () => todayMs }
    const client = await TufClient.open({ ...options, store: await MetadataFolder.open(folder) })
    expect(await client.refresh(signal)).toEqual({ state: 'fresh' })
    await client.target('desired/a.json', signal)
    const names = ['deploy.json', 'root.json', 'snapshot.json', 'targets.json', 'timestamp.json']
    expect(await readdir(folder)).toEqual(names)
    const received = ['2.deploy.json', '2.root.json', '2.snapshot.json', '2.targets.json', 'timestamp.json']
    for (const [i, name] of names.entries())
      expect(await readFile(join(folder, name))).toEqual(repository.file(received[i] ?? ''))
    const again = await TufClient.open({ ...options, store: await MetadataFolder.open(folder) })
    expect(again.freshness).toEqual({ state: 'fresh' })
  })

  test('row 36: has no file that metadata named', async () => {
    const folder = await tempFolder()
    const repository = new TufRepository()
    for (const name of ['../escaped', '/tmp/escaped', '..', 'root/../..', 'a?b#c', 'ünï', 'x'.repeat(200)])
      repository.delegate(name, ['a/*'], { terminating: false })
    for (const path of ['a/../../b', 'a/b\0c', 'a/?', 'a/#', `a/${'x'.repeat(4096)}`])
      repository.addTarget(path, 'x', { role: 'x'.repeat(200) })
    repository.release()
    const store = await MetadataFolder.open(join(folder, 'tuf'))
    const options = { store, transport: repository, factoryRoot: repository.firstRoot, clockMs: () => todayMs }
    const client = await TufClient.open(options)
    await client.refresh(signal)
    expect(await client.target('a/?', signal)).toMatchObject({ role: 'x'.repeat(200), path: 'a/?' })
    expect(repository.asked.slice(4)).toEqual([
      '2...%2Fescaped.json',
      '2.%2Ftmp%2Fescaped.json',
      '2....json',
      '2.root%2F..%2F...json',
      '2.a%3Fb%23c.json',
      '2.%C3%BCn%C3%AF.json',
      `2.${'x'.repeat(200)}.json`,
    ])
    expect(repository.asked.every((name) => !name.includes('/'))).toBe(true)
    expect(await readdir(folder)).toEqual(['tuf'])
    expect(await readdir(join(folder, 'tuf'))).toEqual(['root.json', 'snapshot.json', 'targets.json', 'timestamp.json'])
  })

  test('says in words what the disk did', async () => {
    const folder = await tempFolder()
    const store = await MetadataFolder.open(folder)
    expect(await store.read('root')).toBeUndefined()
    await writeFile(join(folder, 'x'), '')
    await expect(MetadataFolder.open(join(folder, 'x'))).rejects.toMatchObject({ reason: 'store_failed' })
    await store.remove('root')
    await store.write('root', Buffer.from('{}'))
    await store.remove('root')
    expect(await store.read('root')).toBeUndefined()
    if (process.getuid?.() === 0) return
    await chmod(folder, 0o500)
    await expect(store.write('root', Buffer.from('{}'))).rejects.toMatchObject({ reason: 'store_failed' })
  })

  /** The same JSON, with blanks, escapes and its keys in another order. */
  function unusual(bytes: Uint8Array): Uint8Array {
    const { signed, signatures } = JSON.parse(Buffer.from(bytes).toString())
    const reversed = Object.fromEntries(Object.entries(signed).reverse())
    return Buffer.from(
      `\r\n${JSON.stringify({ signed: reversed, signatures }, null, '\t').replaceAll('o', '\\u006f')}\n`,
    )
  }
})
