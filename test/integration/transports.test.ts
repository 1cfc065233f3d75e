import { execFileSync } from 'node:child_process'
import { link, mkdir, symlink, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { isPrivateAddress } from '../../src/ota/http-rules.ts'
import { collect } from '../../src/ota/source-file.ts'
import { openTransport } from '../../src/ota/transport.ts'
import { Authority } from '../support/certificates.ts'
import { download, httpTransport, never, someFile } from '../support/downloads.ts'
import { endless, HostileServer, serveFile } from '../support/hostile-server.ts'
import { tempFolder } from '../support/temp-folder.ts'

const hello = Buffer.from('{"signed":{}}')
const sayHello = (response: ServerResponse) => response.end(hello)
const problem = (reason: string, message: RegExp) => ({ reason, message: expect.stringMatching(message) })

describe('metadata over HTTP', () => {
  test('row 25: what is not there (404, or 403 as S3 says) is undefined, and there the next time', async () => {
    const statuses = [404, 403, 200]
    const server = await HostileServer.start((response, _, nth) =>
      response.writeHead(statuses[nth] ?? 503).end(statuses[nth] === 200 ? hello : '<Error/>'),
    )
    const transport = httpTransport(`${server.url}/repo/?key=1`)
    expect(await transport.metadata('timestamp.json', 100, never)).toBeUndefined()
    expect(await transport.metadata('2.root.json', 100, never)).toBeUndefined()
    expect(await transport.metadata('timestamp.json', 100, never)).toEqual(hello)
    await expect(transport.metadata('timestamp.json', 100, never)).rejects.toMatchObject(problem('network', /HTTP 503/))
    expect(server.requests.map(({ url }) => url).slice(0, 2)).toEqual([
      '/repo/timestamp.json?key=1',
      '/repo/2.root.json?key=1',
    ])
    expect(server.requests[0]?.headers).toMatchObject({ 'accept-encoding': 'identity', connection: 'close' })
  })

  test('row 28: takes a file of just the length, and stops an endless one', async () => {
    const server = await HostileServer.start((response, { url }) =>
      url === '/fits.json' ? sayHello(response) : endless(response),
    )
    const transport = httpTransport(server.url)
    expect(await transport.metadata('fits.json', hello.length, never)).toEqual(hello)
    const tooLarge = problem('too_large', /goes on after/)
    await expect(transport.metadata('fits.json', hello.length - 1, never)).rejects.toMatchObject(tooLarge)
    await expect(transport.metadata('endless.json', 100_000, never)).rejects.toMatchObject(tooLarge)
  })

  test.each([
    [
      'too large',
      'protocol',
      /overflow/i,
      (response: ServerResponse) => void response.setHeader('x', 'x'.repeat(20_000)).end(),
    ],
    [
      'no HTTP',
      'protocol',
      /Parse Error/,
      (response: ServerResponse) => response.socket?.end('SSH-2.0-OpenSSH_9.2\r\n'),
    ],
    ['none', 'network', /no answer within 0.1 s/, () => {}],
    [
      'endless',
      'network',
      /no answer within 0.1 s/,
      ({ socket }: ServerResponse) => {
        socket?.write('HTTP/1.1 200 OK\r\n')
        const timer = setInterval(() => socket?.write('x: y\r\n'), 5)
        socket?.once('close', () => clearInterval(timer))
      },
    ],
  ])('headers: %s', async (_, reason, message, answer) => {
    const server = await HostileServer.start(answer)
    const transport = httpTransport(server.url, { limits: { idleMs: 100 } })
    await expect(transport.metadata('a.json', 100, never)).rejects.toMatchObject(problem(reason, message))
  })

  test.each([
    [401, 'protocol'],
    [304, 'protocol'],
    [206, 'protocol'],
    [410, 'not_found'],
    [429, 'network'],
    [500, 'network'],
  ])('HTTP %i is %s', async (status, reason) => {
    const server = await HostileServer.start((response) => response.writeHead(status).end())
    const answer = httpTransport(server.url).metadata('a.json', 100, never)
    await expect(answer).rejects.toMatchObject(problem(reason, new RegExp(`/a.json: .*HTTP ${status}`)))
  })

  test('says where and why in words, without login and query; and ends when told to', async () => {
    const nowhere = httpTransport('http://me:secret@127.0.0.1:1/repo?key=1')
    const refused = nowhere.metadata('a.json', 100, never)
    await expect(refused).rejects.toThrow('http://127.0.0.1:1/repo/a.json: nothing listens there (ECONNREFUSED)')
    const controller = new AbortController()
    const server = await HostileServer.start(() => controller.abort())
    const stopped = httpTransport(server.url).metadata('a.json', 100, controller.signal)
    await expect(stopped).rejects.toMatchObject({ reason: 'aborted' })
  })
})

test.each([
  ['content-encoding', 'gzip'],
  ['content-encoding', 'identity, gzip'],
  ['content-encoding', 'br'],
  ['transfer-encoding', 'gzip, chunked'],
])('row 30: a gzip bomb with %s: %s is refused unread', async (header, value) => {
  const bomb = gzipSync(Buffer.alloc(5_000_000))
  const server = await HostileServer.start((response) => response.setHeader(header, value).end(bomb))
  const encoding = problem('encoding', new RegExp(`comes as "${value}"`))
  await expect(httpTransport(server.url).metadata('a.json', 1e9, never)).rejects.toMatchObject(encoding)
  const { run, partBytes } = await download(someFile(bomb.length).target, [server.url])
  await expect(run()).rejects.toMatchObject(encoding)
  expect(await partBytes()).toBe(0)
})

describe('row 31: redirects', () => {
  const redirect = (location: string) => (response: ServerResponse) => response.writeHead(302, { location }).end()

  test.each([
    ['in a loop', '/targets/model.onnx', /more than 3 times/],
    ['to a file', 'file:///etc/passwd', /not on the web/],
    ['to the metadata service of a cloud', 'http://169.254.169.254/latest/meta-data', /not allowed/],
    ['to another port', 'http://127.0.0.1:1/', /not allowed/],
    ['to another name of the same host', 'http://localhost/', /not allowed/],
  ])('%s: refused', async (_, location, why) => {
    const server = await HostileServer.start(redirect(location))
    const { run } = await download(someFile().target, [server.url])
    await expect(run()).rejects.toMatchObject(problem('redirect', why))
    expect(server.requests.length).toBeLessThanOrEqual(8)
  })

  test('from https to plain http: refused, even at an allowed host', async () => {
    const authority = await Authority.create()
    const plain = await HostileServer.start(sayHello)
    const server = await HostileServer.start(redirect(`${plain.url}/`), await authority.issue('server'))
    const transport = httpTransport(server.url, { ca: await authority.read(), allowedHosts: [plain.host] })
    const refused = problem('redirect', /from https to plain http/)
    await expect(transport.metadata('a.json', 100, never)).rejects.toMatchObject(refused)
    expect(plain.requests).toEqual([])
  })

  test('to an allowed host: followed, with the range and without the login', async () => {
    const { bytes, target } = someFile()
    const cdn = await HostileServer.start(serveFile(bytes, { upTo: 200_000 }))
    const server = await HostileServer.start(redirect(`${cdn.url}/cdn?key=2`))
    const transport = httpTransport(server.url.replace('//', '//me:secret@'), { allowedHosts: [cdn.host] })
    const { run } = await download(target, [transport])
    expect(await run()).toBe(target.sha256)
    expect(cdn.ranges).toEqual([undefined, 'bytes=200000-'])
    expect(cdn.requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      ['/cdn?key=2', undefined],
      ['/cdn?key=2', undefined],
    ])
    expect(server.requests[0]?.headers.authorization).toBe(`Basic ${btoa('me:secret')}`)
  })

  const publicHost = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, address }) => family === 'IPv4' && !isPrivateAddress(address))?.address

  test.skipIf(publicHost === undefined)(
    'from a public host to an allowed name that leads to this machine: refused (skipped without a public address)',
    async () => {
      const inside = await HostileServer.start(sayHello)
      const port = inside.host.replace(/.*:/, '')
      const server = createServer((_, response) => redirect(`http://localhost:${port}/`)(response))
      await new Promise<void>((resolve) => server.listen(0, publicHost, resolve))
      onTestFinished(() => void server.close())
      const address = server.address()
      const url = `http://${publicHost}:${typeof address === 'object' ? address?.port : ''}`
      const transport = httpTransport(url, { allowedHosts: [`localhost:${port}`] })
      const refused = problem('redirect', /localhost is .* in a private network/)
      await expect(transport.metadata('a.json', 100, never)).rejects.toMatchObject(refused)
      expect(inside.requests).toEqual([])
    },
  )
})

describe('HTTPS', () => {
  test('with an authority of our own: trusted only when it is given, only for its name, only in its time', async () => {
    const authority = await Authority.create()
    const ca = await authority.read()
    const ask = async (certificate: { key: string; cert: string }, options = {}) => {
      const server = await HostileServer.start(sayHello, certificate)
      return await httpTransport(server.url, options).metadata('a.json', 100, never)
    }
    const good = await authority.issue('good')
    expect(await ask(good, { ca })).toEqual(hello)
    await expect(ask(good)).rejects.toMatchObject(problem('network', /an authority that is not trusted here/))
    const other = await authority.issue('other', { altName: 'IP:127.0.0.2' })
    await expect(ask(other, { ca })).rejects.toMatchObject(problem('network', /certificate is for another name/))
    const expired = await authority.issue('expired', { isExpired: true })
    await expect(ask(expired, { ca })).rejects.toMatchObject(problem('network', /has expired, by the clock/))
  })
})

describe('a folder', () => {
  async function stick() {
    const folder = await tempFolder()
    const { bytes, target } = someFile()
    await mkdir(join(folder, 'targets'))
    await writeFile(join(folder, 'targets/model.onnx'), bytes)
    await writeFile(join(folder, 'timestamp.json'), hello)
    return { folder, bytes, target, transport: openTransport(folder) }
  }

  test('row 25: gives small files, or undefined', async () => {
    const { transport } = await stick()
    expect(await transport.metadata('timestamp.json', 100, never)).toEqual(hello)
    expect(await transport.metadata('2.root.json', 100, never)).toBeUndefined()
    expect(await transport.metadata('none/2.root.json', 100, never)).toBeUndefined()
    expect(await transport.metadata('timestamp.json/x', 100, never)).toBeUndefined()
    const tooLarge = transport.metadata('timestamp.json', 5, never)
    await expect(tooLarge).rejects.toMatchObject({ reason: 'too_large' })
  })

  test('gives a file, and the rest of one that a web server began', async () => {
    const { folder, bytes, target, transport } = await stick()
    expect(await (await download(target, [folder])).run()).toBe(target.sha256)
    await using source = await transport.openTarget({ ...target, fromByte: 70_000, ifRange: undefined }, never)
    expect(source.startByte).toBe(70_000)
    expect(await collect(source.chunks, 230_000, 'here')).toEqual(bytes.subarray(70_000))
    const server = await HostileServer.start((response, request, nth) =>
      nth === 0 ? serveFile(bytes, { upTo: 200_000 })(response, request, nth) : response.writeHead(404).end(),
    )
    expect(await (await download(target, [server.url, openTransport(folder)])).run()).toBe(target.sha256)
  })

  test.each([
    ['a shorter file', 'protocol', /5 bytes long there, has to be 300000/, (path: string) => writeFile(path, 'short')],
    [
      'a longer file',
      'too_large',
      /400000 bytes long there, has to be 300000/,
      (path: string) => writeFile(path, Buffer.alloc(400_000)),
    ],
    ['another file', 'digest', /not with the signed SHA-256/, (path: string) => writeFile(path, Buffer.alloc(300_000))],
    ['a folder', 'protocol', /not a regular file/, (path: string) => mkdir(path)],
    ['a FIFO', 'protocol', /not a regular file/, async (path: string) => void execFileSync('mkfifo', [path])],
    ['a link', 'protocol', /a link/, (path: string) => symlink('../timestamp.json', path)],
    ['nothing', 'not_found', /not there/, async () => {}],
  ])('refuses %s in place of the file', async (_, reason, why, plant) => {
    const { folder, target } = await stick()
    await plant(join(folder, 'targets/planted'))
    const { run } = await download({ ...target, path: 'targets/planted' }, [folder])
    await expect(run()).rejects.toMatchObject(problem(reason, why))
  })

  test('row 36: leads nowhere else, by name or by link', async () => {
    const { folder, transport } = await stick()
    const outside = await tempFolder()
    await writeFile(join(outside, 'secret'), 'x')
    await symlink(outside, join(folder, 'way'))
    const refused = expect.objectContaining({ reason: 'protocol' })
    await expect(transport.metadata('way/secret', 100, never)).rejects.toEqual(refused)
    await expect(transport.metadata(`../${outside}/secret`, 100, never)).rejects.toEqual(refused)
    await link(join(outside, 'secret'), join(folder, 'copy'))
    expect(await transport.metadata('copy', 100, never)).toEqual(Buffer.from('x'))
  })
})
