import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { connectAsync } from 'mqtt'
import { describe, expect, onTestFinished, test } from 'vitest'
import { packageRoot } from '../../src/lib/package.ts'
import { RunningSightd } from '../support/daemon.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { tempFolder } from '../support/temp-folder.ts'

const run = promisify(execFile)
const examples = join(packageRoot, 'deploy/mosquitto')
const users = ['porch', 'viewer', 'operator', 'homeassistant']
const isThere = ['mosquitto', 'mosquitto_passwd', 'openssl'].every((name) => findProgram(name) !== undefined)

/** The example as its README sets it up, in a folder and on ports of the test's own. */
async function startExample() {
  const folder = await tempFolder()
  await run('sh', [join(examples, 'certificates.sh'), '127.0.0.1', 'broker.lan'], { cwd: folder })
  await writeFile(join(folder, 'acl'), await readFile(join(examples, 'sightd.acl')), { mode: 0o600 })
  const passwords = join(folder, 'passwd')
  for (const [index, user] of users.entries())
    await run('mosquitto_passwd', [...(index === 0 ? ['-c'] : []), '-b', passwords, user, `${user}'s password`])
  const [tlsPort, localPort] = [await freePort(), await freePort()]
  const settings = (await readFile(join(examples, 'sightd.conf'), 'utf8'))
    .replaceAll('/etc/mosquitto/certs', folder)
    .replaceAll('/etc/mosquitto/sightd.', `${folder}/`)
    .replace('listener 8883', `listener ${tlsPort} 127.0.0.1`)
    .replace('listener 1883', `listener ${localPort}`)
  await startMosquitto(await freePort(), process.getuid?.() === 0 ? `user root\n${settings}` : settings)
  return {
    folder,
    url: `mqtts://127.0.0.1:${tlsPort}`,
    localUrl: `mqtt://127.0.0.1:${localPort}`,
    caPath: join(folder, 'ca.pem'),
  }
}

async function login(url: string, caPath: string, username: string, password = `${username}'s password`) {
  const ca = await readFile(caPath)
  const client = await connectAsync(url, { protocolVersion: 5, ca, username, password, reconnectPeriod: 0 })
  onTestFinished(() => {
    client.end(true)
  })
  const topics: string[] = []
  const waiting = new Set<() => void>()
  client.on('message', (topic) => {
    topics.push(topic)
    for (const wake of waiting) wake()
  })
  const got = async (topic: string) => {
    while (!topics.includes(topic)) await new Promise<void>((resolve) => waiting.add(resolve))
  }
  return { client, topics, got }
}

describe.skipIf(!isThere)('the broker of deploy/mosquitto (needs mosquitto, openssl)', () => {
  test('lets in who has a password, and from elsewhere by TLS only', async () => {
    const { url, localUrl, caPath } = await startExample()
    await login(url, caPath, 'viewer')
    await login(localUrl, caPath, 'homeassistant')
    await expect(login(url, caPath, 'viewer', 'wrong')).rejects.toMatchObject({ code: 135 })
    await expect(connectAsync(localUrl, { protocolVersion: 5, reconnectPeriod: 0 })).rejects.toMatchObject({
      code: 135,
    })
    await expect(connectAsync(url, { username: 'viewer', reconnectPeriod: 0 })).rejects.toThrow(/certificate/)
    const plain = url.replace('mqtts', 'mqtt')
    await expect(connectAsync(plain, { connectTimeout: 2000, reconnectPeriod: 0 })).rejects.toThrow()
  })

  test('carries all that a device does, and keeps it off the topics of others', async () => {
    const { folder, url, caPath } = await startExample()
    const [viewer, operator, porch] = await Promise.all(
      ['viewer', 'operator', 'porch'].map((name) => login(url, caPath, name)),
    )
    if (viewer === undefined || operator === undefined || porch === undefined) throw new Error('no login')
    await viewer.client.subscribeAsync('sightd/#', { qos: 1 })
    await operator.client.subscribeAsync('reply/#', { qos: 1 })
    await writeFile(join(folder, 'password'), "porch's password\n", { mode: 0o600 })
    const config = join(folder, 'config.yaml')
    await writeFile(
      config,
      `id: porch
camera: { source: replay, path: ${join(packageRoot, 'deploy/demo')}, fps: 5 }
mqtt: { url: '${url}', username: porch, password_file: password, ca_file: ca.pem }
pictures: { on_request: true, of_events: true }
`,
    )
    const sightd = new RunningSightd(['run', '--config', config])
    for (const topic of ['status', 'info', 'state', 'current', 'event', 'result', 'update'])
      await viewer.got(`sightd/porch/${topic}`)
    await operator.client.publishAsync('sightd/porch/request/snapshot', '{}', {
      qos: 1,
      properties: { responseTopic: 'reply/me' },
    })
    await operator.got('reply/me')
    await viewer.got('sightd/porch/response/snapshot')
    expect(
      viewer.topics.filter((topic) => /\/(event\/)?snapshot$/.test(topic) && !/re(quest|sponse)/.test(topic)),
    ).toEqual([])
    expect(sightd.log.filter(({ msg }) => msg.startsWith('the broker refuses'))).toEqual([])

    const refused = { code: 135 }
    for (const topic of [
      'sightd/garden/status',
      'sightd/garden/request/restart',
      'homeassistant/device/sightd_garden/config',
    ])
      await expect(porch.client.publishAsync(topic, 'x', { qos: 1 })).rejects.toMatchObject(refused)
    await expect(viewer.client.publishAsync('sightd/porch/request/ping', '', { qos: 1 })).rejects.toMatchObject(refused)
    // What it hears of itself stands for all: a fence behind what must not come.
    const shared = ['sightd/all/request/ping', 'sightd/update/hint']
    await porch.client.subscribeAsync(['sightd/+/info', 'sightd/+/status', ...shared], { qos: 1 })
    for (const topic of shared) await operator.client.publishAsync(topic, '{"timestamp":1}', { qos: 1 })
    await porch.got('sightd/update/hint')
    expect(new Set(porch.topics)).toEqual(new Set(['sightd/porch/info', ...shared]))
  })
})
