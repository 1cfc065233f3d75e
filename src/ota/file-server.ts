import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { nameParts } from './source-file.ts'

/**
 * A repository's files over HTTP: GET and HEAD, one range (RFC 9110 section 14), strong entity tags. Whatever else lies in
 * the folder or beside it is not there.
 */

/** Devices beyond these at a time are sent away, and look again after a minute: one socket and one file for each. */
const maxConnections = 1024
/** Metadata and models have few names; a tag is a digest over the whole file, so that it is not made for each request. */
const maxTags = 1024

type Tags = Map<string, { readonly mark: string; readonly tag: string }>
type OpenFile = { readonly file: FileHandle; readonly bytes: number; readonly tag: string }

export function fileServer(folder: string, { silenceMs = 60_000 } = {}): Server {
  const tags: Tags = new Map()
  const server = createServer((request, response) => {
    answer(folder, tags, request, response).catch(() => {
      // The reader went away, or the disk fails in the middle: the length tells the reader.
      response.destroy()
    })
  })
  server.maxConnections = maxConnections
  // Whoever asks nothing, or reads nothing, gives its place to others.
  server.setTimeout(silenceMs)
  return server
}

async function answer(folder: string, tags: Tags, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', headers } = request
  if (method !== 'GET' && method !== 'HEAD') return refuse(response, 405, { allow: 'GET, HEAD' })
  const opened = await openFile(folder, request.url ?? '', tags)
  // The next root is not there until it is.
  if (opened === undefined) return refuse(response, 404, { 'cache-control': 'no-store' })
  const [name = ''] = (request.url ?? '').split('?')
  const { file, bytes, tag } = opened
  await using _closed = file
  const common = {
    etag: tag,
    'accept-ranges': 'bytes',
    'x-content-type-options': 'nosniff',
    'content-type': name.endsWith('.json') ? 'application/json' : 'application/octet-stream',
    // Only the timestamp's name stays while its content changes.
    'cache-control': /\/timestamp(\.next)?\.json$/.test(name) ? 'no-cache' : 'public, max-age=31536000, immutable',
  }
  if (matches(headers['if-none-match'], tag)) return refuse(response, 304, common)
  // A range of another version of the file would fit nothing.
  const isSameVersion = headers['if-range'] === undefined || headers['if-range'] === tag
  const range = method === 'GET' && isSameVersion ? parseRange(headers.range, bytes) : undefined
  if (range === 'unsatisfiable') return refuse(response, 416, { 'content-range': `bytes */${bytes}` })
  const { first, last } = range ?? { first: 0, last: bytes - 1 }
  response.writeHead(range === undefined ? 200 : 206, {
    ...common,
    'content-length': last - first + 1,
    ...(range === undefined ? {} : { 'content-range': `bytes ${first}-${last}/${bytes}` }),
  })
  if (method === 'HEAD' || bytes === 0) response.end()
  else await pipeline(file.createReadStream({ start: first, end: last, autoClose: false }), response)
}

function refuse(response: ServerResponse, status: number, headers: { [name: string]: string } = {}): void {
  response.writeHead(status, headers).end()
}

/** Undefined for all that is no file of a repository, whatever the reason: nobody learns what else is there. */
async function openFile(folder: string, url: string, tags: Tags): Promise<OpenFile | undefined> {
  const parts = partsOf(url)
  if (parts === undefined) return undefined
  const path = join(folder, ...parts)
  try {
    // By the folders above it as well, which O_NOFOLLOW doesn't look at.
    if ((await realpath(path)) !== join(await realpath(folder), ...parts)) return undefined
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const stats = await file.stat()
    if (stats.isFile()) {
      const mark = `${stats.ino} ${stats.size} ${stats.mtimeMs}`
      return { file, bytes: stats.size, tag: await tagOf(file, path, mark, tags) }
    }
    await file.close()
  } catch {
    return undefined
  }
  return undefined
}

function partsOf(url: string): string[] | undefined {
  const [path = ''] = url.split('?')
  try {
    const parts = nameParts(path.replace(/^\//, ''))
    const isOurs = parts.length > 1 && (parts[0] === 'metadata' || parts[0] === 'targets')
    // Half a file that is being written.
    return isOurs && !path.endsWith('.new') ? parts : undefined
  } catch {
    return undefined
  }
}

async function tagOf(file: FileHandle, path: string, mark: string, tags: Tags): Promise<string> {
  const known = tags.get(path)
  if (known?.mark === mark) return known.tag
  const hash = createHash('sha256')
  for await (const chunk of file.createReadStream({ start: 0, autoClose: false })) hash.update(chunk)
  const tag = `"${hash.digest('hex')}"`
  if (tags.size >= maxTags) tags.clear()
  tags.set(path, { mark, tag })
  return tag
}

function matches(header = '', tag: string): boolean {
  return header.split(',').some((one) => ['*', tag, `W/${tag}`].includes(one.trim()))
}

/** One range; a header that is none, or asks for several, counts for nothing (RFC 9110 section 14.2). */
function parseRange(
  header: string | undefined,
  bytes: number,
): { readonly first: number; readonly last: number } | 'unsatisfiable' | undefined {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? []
  if (from === '' && to === '') return undefined
  if (from === '')
    return Number(to) === 0 || bytes === 0
      ? 'unsatisfiable'
      : { first: Math.max(0, bytes - Number(to)), last: bytes - 1 }
  const first = Number(from)
  const last = to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1)
  if (to !== '' && Number(to) < first) return undefined
  return first >= bytes ? 'unsatisfiable' : { first, last }
}
