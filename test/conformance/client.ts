import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeError } from '../../src/core/errors.ts'
import { type MetadataTransport, type Target, TufClient } from '../../src/ota/client.ts'
import { MetadataFolder } from '../../src/ota/metadata-store.ts'
import { TrustedSet } from '../../src/ota/trusted-set.ts'

/**
 * The client that github.com/theupdateframework/tuf-conformance tests (its CLIENT-CLI.md): `init <root>`, `refresh` and
 * `download`, exit code 0 or 1. Metadata are files `<role>.json` in `--metadata-dir`; a target is a file whose name is the
 * digest of its path in `--target-dir`. What the suite expects and we don't do is in `xfails`.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'metadata-dir': { type: 'string', default: '.' },
    'metadata-url': { type: 'string', default: '' },
    'target-name': { type: 'string', default: '' },
    'target-base-url': { type: 'string', default: '' },
    'target-dir': { type: 'string', default: '.' },
  },
})

const { signal } = new AbortController()
const store = await MetadataFolder.open(values['metadata-dir'])

/** At most `maxBytes` of a file; undefined when it is not there. */
async function get(url: string, maxBytes: number): Promise<Uint8Array | undefined> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(30_000) })
  if (response.status === 404 || response.status === 403) return undefined
  if (!response.ok || response.body === null) throw new Error(`${url}: status ${response.status}`)
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new Error(`${url}: more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const transport: MetadataTransport = {
  metadata: (name, maxBytes) => get(`${values['metadata-url'].replace(/\/$/, '')}/${name}`, maxBytes),
}

async function init(rootPath: string): Promise<void> {
  const bytes = await readFile(rootPath)
  TrustedSet.fromRoot(bytes)
  await store.write('root', bytes)
}

async function refresh(): Promise<TufClient> {
  const client = await TufClient.open({ store, transport })
  const end = await client.refresh(signal)
  if (end.state === 'stale') throw end.error
  return client
}

async function download(name: string): Promise<void> {
  const target = await (await refresh()).target(name, signal)
  if (target === undefined) throw new Error(`${name}: no target of that name`)
  await mkdir(values['target-dir'], { recursive: true })
  const path = join(values['target-dir'], createHash('sha256').update(name).digest('hex'))
  const kept = await readFile(path).catch(() => undefined)
  if (kept !== undefined && isTarget(kept, target)) return
  const bytes = await get(targetUrl(target), target.length)
  if (bytes === undefined || !isTarget(bytes, target))
    throw new Error(`${name}: not there, or not the file that is signed`)
  await writeFile(path, bytes)
}

/** The name that consistent snapshots give it: the digest before the last part of its path. */
function targetUrl({ path, sha256 }: Target): string {
  const parts = path.split('/').map(encodeURIComponent)
  const last = parts.pop() ?? ''
  return [values['target-base-url'].replace(/\/$/, ''), ...parts, `${sha256}.${last}`].join('/')
}

function isTarget(bytes: Uint8Array, { length, sha256 }: Target): boolean {
  return bytes.length === length && createHash('sha256').update(bytes).digest('hex') === sha256
}

try {
  const [command, rootPath = ''] = positionals
  if (command === 'init') await init(rootPath)
  else if (command === 'refresh') await refresh()
  else if (command === 'download') await download(values['target-name'])
  else throw new Error(`no command ${command}`)
} catch (error) {
  console.error(describeError(error))
  process.exitCode = 1
}
