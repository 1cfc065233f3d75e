import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, rename, symlink, truncate, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fileServer } from '../../src/ota/file-server.ts'
import { RunningCommand } from '../support/command.ts'
import { Operator } from '../support/operator.ts'
import { tempFolder } from '../support/temp-folder.ts'

const content = Buffer.from('0123456789'.repeat(20_000))
const tag = `"${createHash('sha256').update(content).digest('hex')}"`
const model = '/targets/models/a/1/abc.model.onnx'

async function served(options: { readonly silenceMs?: number } = {}) {
  const folder = join(await tempFolder(), 'repository')
  await mkdir(join(folder, 'targets/models/a/1'), { recursive: true })
  await mkdir(join(folder, 'metadata'))
  await writeFile(join(folder, model), content)
  await writeFile(join(folder, 'metadata/timestamp.json'), '{}')
  const server = fileServer(folder, options).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const get = async (path: string, headers: { [name: string]: string } = {}, method = 'GET') => {
    // As it stands: fetch would tidy the path up.
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }).end()
    const [response] = await once(sent, 'response')
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }
  }
  return { folder, port, get }
}

describe('sightd ota serve', () => {
  test('whole files, with a strong tag over their content', async () => {
    const { get } = await served()
    const { status, headers, body } = await get(model)
    expect([status, headers.etag, headers['content-length']]).toEqual([200, tag, '200000'])
    expect(headers['cache-control']).toContain('immutable')
    expect(body.equals(content)).toBe(true)
    expect((await get('/metadata/timestamp.json')).headers['cache-control']).toBe('no-cache')
    const head = await get(model, {}, 'HEAD')
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '200000', 0])
    expect((await get(model, { 'if-none-match': tag })).status).toBe(304)
  })

  test('a fleet that hears of news at one moment has room', async () => {
    const { port, get } = await served()
    const others = Array.from({ length: 500 }, () => connect(port, '127.0.0.1'))
    onTestFinished(() => {
      for (const other of others) other.destroy()
    })
    await Promise.all(others.map((other) => once(other, 'connect')))
    expect((await get('/metadata/timestamp.json')).status).toBe(200)
  })

  test.each([
    ['bytes=0-9', 206, 'bytes 0-9/200000', 10],
    ['bytes=199990-', 206, 'bytes 199990-199999/200000', 10],
    ['bytes=-5', 206, 'bytes 199995-199999/200000', 5],
    ['bytes=199999-999999', 206, 'bytes 199999-199999/200000', 1],
    ['bytes=-999999', 206, 'bytes 0-199999/200000', 200_000],
    ['bytes=200000-', 416, 'bytes */200000', 0],
    ['bytes=-0', 416, 'bytes */200000', 0],
    ['bytes=5-4', 200, undefined, 200_000],
    ['bytes=0-1,4-5', 200, undefined, 200_000],
    ['lines=1-2', 200, undefined, 200_000],
  ])('Range: %s gives %d', async (range, status, contentRange, length) => {
    const { get } = await served()
    const answer = await get(model, { range })
    expect([answer.status, answer.headers['content-range'], answer.body.length]).toEqual([status, contentRange, length])
  })

  test('a range of another version of the file is the whole file', async () => {
    const { get } = await served()
    expect((await get(model, { range: 'bytes=5-', 'if-range': tag })).status).toBe(206)
    expect((await get(model, { range: 'bytes=5-', 'if-range': '"other"' })).status).toBe(200)
    expect((await get(model, { range: 'bytes=5-', 'if-range': `W/${tag}` })).status).toBe(200)
  })

  test('a file that was replaced has another tag', async () => {
    const { folder, get } = await served()
    const before = (await get('/metadata/timestamp.json')).headers.etag
    await writeFile(join(folder, 'metadata/new'), '[]')
    await rename(join(folder, 'metadata/new'), join(folder, 'metadata/timestamp.json'))
    expect((await get('/metadata/timestamp.json')).headers.etag).not.toBe(before)
  })

  test('nothing but what lies in the repository, and nothing but reading', async () => {
    const { folder, port, get } = await served()
    await writeFile(join(folder, '../secret.json'), 'x')
    await writeFile(join(folder, 'keys.pem'), 'x')
    await writeFile(join(folder, 'metadata/timestamp.json.new'), 'x')
    await symlink('../../secret.json', join(folder, 'metadata/link.json'))
    await symlink('../..', join(folder, 'targets/up'))
    for (const path of [
      '/',
      '/metadata',
      '/metadata/',
      '/keys.pem',
      '/../secret.json',
      '/metadata/../../secret.json',
      '/metadata/..%2f..%2fsecret.json',
      '/metadata/%2e%2e/keys.pem',
      '/metadata//timestamp.json',
      '//etc/passwd',
      '/metadata/timestamp.json.new',
      '/metadata/link.json',
      '/targets/up/secret.json',
      '/metadata/timestamp.json%00',
      '/metadata/none.json',
    ])
      expect([path, (await get(path)).status]).toEqual([path, 404])
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
      expect((await get('/metadata/timestamp.json', {}, method)).status).toBe(405)
    // Without a slash in front, as only a hand-written request has it.
    const socket = connect(port, '127.0.0.1')
    socket.write('GET ../secret.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk)
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 40[04]/)
  })

  test('what is asked for behind a question mark changes nothing of how long it is kept', async () => {
    const { get } = await served()
    for (const query of ['?', '?a=1', '?/metadata/timestamp.json', '?x=/timestamp.json?']) {
      const timestamp = await get(`/metadata/timestamp.json${query}`)
      expect([timestamp.status, timestamp.headers['cache-control']]).toEqual([200, 'no-cache'])
      const file = await get(`${model}${query}`)
      expect([file.status, file.headers['cache-control']]).toEqual([200, expect.stringContaining('immutable')])
      expect(file.headers['content-type']).toBe('application/octet-stream')
    }
  })

  test('that something is not there yet is kept by nobody', async () => {
    const { get } = await served()
    const { status, headers } = await get('/metadata/2.root.json')
    expect([status, headers['cache-control']]).toEqual([404, 'no-store'])
  })

  test('who asks nothing, or reads nothing, gives its place to others', async () => {
    const { folder, port } = await served({ silenceMs: 100 })
    // More than what lies in the buffers between both.
    await truncate(join(folder, model), 64 * 1024 * 1024)
    for (const asks of ['', 'GET /metadata/timestamp.json HTTP/1.1\r\n', `GET ${model} HTTP/1.1\r\nhost: x\r\n\r\n`]) {
      const socket = connect(port, '127.0.0.1').pause()
      onTestFinished(() => {
        socket.destroy()
      })
      // Cut off while there is more to come, which is no end that it could read.
      const closed = new Promise((resolve) => socket.once('error', resolve).once('end', resolve))
      socket.write(asks)
      if (asks.startsWith('GET /targets')) await once(socket, 'readable')
      else socket.resume()
      await closed
    }
  })

  test('as a command: says where, is audited over HTTP, and ends when told to', async () => {
    const operator = await Operator.start()
    await operator.run('init')
    const serving = new RunningCommand(['ota', 'serve', '--repo', operator.repo, '--port', '0', '--json'])
    await serving.until(({ lines }) => lines.length > 0)
    const { url } = JSON.parse(serving.lines[0] ?? '')
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    const { code, stdout } = await operator.try(['audit', url])
    expect([code, stdout]).toEqual([0, expect.stringContaining('a new device would take all of it')])
    serving.child.kill('SIGTERM')
    expect(await serving.exited).toBe(0)
  })
})
