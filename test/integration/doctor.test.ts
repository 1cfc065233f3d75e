import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { runTrial } from '../../src/cli/trial.ts'
import { defaultConfigPath } from '../../src/config/load.ts'
import { bundledModel } from '../../src/daemon.ts'
import { probeBroker } from '../../src/mqtt/probe.ts'
import type { Finding } from '../../src/system/finding.ts'
import { runSightd } from '../support/daemon.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { listProcesses } from '../support/processes.ts'
import { tempFolder } from '../support/temp-folder.ts'

const demo = fileURLToPath(new URL('../../deploy/demo', import.meta.url))

async function configFile(mqtt: string): Promise<string> {
  const path = join(await tempFolder(), 'config.yaml')
  await writeFile(path, `camera: { source: replay, path: ${demo} }\nmqtt: { ${mqtt} }\n`)
  return path
}

async function doctor(...args: string[]) {
  const { code, stdout } = await runSightd(['doctor', '--json', ...args])
  const findings: Finding[] = JSON.parse(stdout)
  return { code, findings, of: (check: string) => findings.find((finding) => finding.check === check) }
}

describe('sightd doctor', () => {
  test('runs the golden samples, names a broker that is away, and ends with 2', async () => {
    const port = await freePort()
    const { code, findings, of } = await doctor('--config', await configFile(`url: 'mqtt://127.0.0.1:${port}'`))
    expect(of('config')).toMatchObject({ status: 'ok' })
    expect(of('model')).toMatchObject({ status: 'ok', found: expect.stringContaining('came out as expected') })
    expect(of('broker')).toMatchObject({
      status: 'problem',
      found: `mqtt://127.0.0.1:${port}: not reachable: nothing listens there (ECONNREFUSED)`,
      advice: expect.stringContaining('Check that the broker runs'),
    })
    expect(code).toBe(2)
    for (const { check, status, found, advice } of findings) {
      expect([check, found]).not.toContain('')
      expect(['ok', 'warning', 'problem']).toContain(status)
      expect(advice === null).toBe(status === 'ok')
    }
    // Photos are replayed, so nothing of a camera is a problem.
    for (const check of ['camera program', 'video devices', 'media devices', 'dma heaps'])
      expect(of(check)).toMatchObject({ status: 'ok' })
  })

  test.skipIf(existsSync(defaultConfigPath))(
    'without a configuration (skipped where there is one) it checks what it can',
    async () => {
      const { of } = await doctor()
      expect(of('config')).toMatchObject({
        status: 'warning',
        found: expect.stringContaining('none at /etc/sightd/'),
        advice: expect.stringContaining('sudo sightd setup'),
      })
      expect(of('broker')).toMatchObject({ status: 'warning', found: expect.stringContaining('unknown') })
      expect(of('model')).toMatchObject({ status: 'ok' })
    },
  )

  test('a wrong configuration is a problem with every mistake; the rest is still checked', async () => {
    const { code, of } = await doctor('--config', await configFile('urll: x, result_rate: fast'))
    expect(of('config')?.status).toBe('problem')
    expect(of('config')?.found).toMatch(/:2: mqtt\.urll: unknown key.*\n.*:2: mqtt\.result_rate/)
    expect(of('model')?.status).toBe('ok')
    expect(code).toBe(2)
  })

  test('for a person it prints a line per check, advice below it, and a sum', async () => {
    const { code, stdout } = await runSightd(['doctor', '--config', '/nowhere/config.yaml'])
    expect(code).toBe(2)
    expect(stdout).toMatch(/^problem {2}config +\/nowhere\/config.yaml: can't be read/)
    expect(stdout).toMatch(/\n +→ Mend it: sightd config check \/nowhere\/config.yaml\n/)
    expect(stdout).toMatch(/\nproblems \d+, warnings \d+, ok \d+\n$/)
  })

  test('a password file that others can read is a problem of the broker', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'password'), 'secret\n', { mode: 0o644 })
    const { of } = await doctor('--config', await configFile(`username: me, password_file: ${folder}/password`))
    expect(of('broker')).toMatchObject({ status: 'problem', found: expect.stringContaining('others can read') })
  })
})

describe('runTrial', () => {
  const trialOf = (parent: number) =>
    listProcesses().find((process) => process.parent === parent && process.command.includes('/vision/trial'))?.pid ?? 0

  test('turns an illegal instruction into a sentence', async () => {
    const report = runTrial(bundledModel)
    await expect.poll(() => trialOf(process.pid), { interval: 1 }).toBeGreaterThan(0)
    process.kill(trialOf(process.pid), 'SIGILL')
    expect(await report).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('does not run on this CPU'),
    })
  })

  test('ends when it is called off', async () => {
    const stop = new AbortController()
    const report = runTrial(bundledModel, stop.signal)
    stop.abort()
    expect(await report).toMatchObject({ type: 'failed' })
  })
})

describe('probeBroker', () => {
  test('a port that takes connections and says nothing is no broker', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => {
      server.close()
    })
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const probe = (scheme: string) =>
      probeBroker(
        { url: `${scheme}://127.0.0.1:${port}`, clientId: 'x', username: undefined, password: undefined },
        300,
      )
    expect(await probe('mqtt')).toMatchObject({ outcome: 'silent', detail: 'no answer within 0.3 s' })
    expect(await probe('mqtts')).toMatchObject({ outcome: 'tls', detail: 'no TLS handshake: no answer within 0.3 s' })
  })

  test.each(['mqtt', 'mqtts', 'ws', 'wss'])('a port where nothing listens, with %s', async (scheme) => {
    const url = `${scheme}://127.0.0.1:${await freePort()}`
    expect(await probeBroker({ url, clientId: 'x', username: undefined, password: undefined })).toEqual({
      outcome: 'unreachable',
      detail: 'nothing listens there (ECONNREFUSED)',
      certificateEndMs: null,
    })
  })
})

describe.skipIf(findProgram('mosquitto') === undefined)(
  'with a real Mosquitto (skipped where it is not installed)',
  () => {
    test('a broker that accepts us is ok', async () => {
      const port = await freePort()
      await startMosquitto(port)
      const { of } = await doctor('--config', await configFile(`url: 'mqtt://127.0.0.1:${port}'`))
      expect(of('broker')).toMatchObject({ status: 'ok', found: `mqtt://127.0.0.1:${port} accepts us, MQTT 5` })
    })

    test('a broker that wants a login is told apart', async () => {
      const port = await freePort()
      await startMosquitto(port, 'allow_anonymous false')
      const url = `mqtt://127.0.0.1:${port}`
      const probe = await probeBroker({ url, clientId: 'x', username: undefined, password: undefined })
      expect(probe).toMatchObject({ outcome: 'login', detail: expect.stringContaining('Not authorized') })
    })

    test.skipIf(findProgram('openssl') === undefined)(
      'TLS: an untrusted certificate, a trusted one that ends soon, and plain MQTT (skipped without openssl)',
      async () => {
        const folder = await tempFolder()
        const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
        const request = `req -x509 -newkey rsa:2048 -nodes -days 5 -subj /CN=test -addext subjectAltName=IP:127.0.0.1`
        await promisify(execFile)('openssl', [...request.split(' '), '-keyout', key, '-out', certificate])
        const port = await freePort()
        await startMosquitto(port, `allow_anonymous true\nuser root\nkeyfile ${key}\ncertfile ${certificate}`)
        const secure = await configFile(`url: 'mqtts://127.0.0.1:${port}'`)

        const untrusted = (await doctor('--config', secure)).of('broker')
        expect(untrusted?.found).toMatch(/TLS fails: its certificate is signed by itself \(\w+\)$/)
        expect(untrusted?.advice).toContain('mqtt.ca_file')

        const trusting = await configFile(`url: 'mqtts://localhost:${port}', ca_file: ${certificate}`)
        const misnamed = (await doctor('--config', trusting)).of('broker')
        expect(misnamed?.advice).toBe('The certificate is for 127.0.0.1: use such a name in mqtt.url.')

        const plainPort = await freePort()
        await startMosquitto(plainPort)
        const noTls = (await doctor('--config', await configFile(`url: 'mqtts://127.0.0.1:${plainPort}'`))).of('broker')
        expect(noTls?.advice).toContain('use mqtt://')

        vi.stubEnv('NODE_EXTRA_CA_CERTS', certificate)
        onTestFinished(() => {
          vi.unstubAllEnvs()
        })
        const trusted = (await doctor('--config', secure)).of('broker')
        expect(trusted).toMatchObject({ status: 'warning', found: expect.stringContaining('accepts us, MQTT 5') })
        expect(trusted?.advice).toContain('Renew')

        const plain = (await doctor('--config', await configFile(`url: 'mqtt://127.0.0.1:${port}'`))).of('broker')
        expect(plain).toMatchObject({ status: 'problem', found: expect.stringContaining('does not answer as an MQTT') })
      },
    )
  },
)
