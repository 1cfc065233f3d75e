import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RunningSightd } from '../support/daemon.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'

const demo = fileURLToPath(new URL('../../deploy/demo', import.meta.url))

/** A small file system of its own; false where only root may mount, and we are not. */
async function smallDisk(): Promise<string> {
  const folder = await tempFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder])
  onTestFinished(() => {
    execFileSync('umount', ['-l', folder])
  })
  return folder
}

const canMount = (() => {
  const probe = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'])
  return probe.status === 0
})()

async function start(port: number, stateFolder: string): Promise<RunningSightd> {
  const config = join(await tempFolder(), 'config.yaml')
  await writeFile(
    config,
    `id: porch\ncamera: { source: replay, path: ${demo} }\nmqtt: { url: 'mqtt://127.0.0.1:${port}' }\n`,
  )
  return new RunningSightd(['run', '--config', config], { stateFolder })
}

describe.skipIf(findProgram('mosquitto') === undefined || !canMount)(
  'sightd on a disk that takes nothing (skipped without mosquitto, and where tmpfs can not be mounted)',
  () => {
    test('full: it says so, goes on, and sends what it has in memory when the broker comes', async () => {
      const disk = await smallDisk()
      const port = await freePort()
      const sightd = await start(port, disk)
      await sightd.line(({ msg }) => msg === 'sees')
      // What another program leaves for us: nothing.
      const filler = spawnSync('dd', ['if=/dev/zero', `of=${join(disk, 'filler')}`, 'bs=4k'])
      expect(filler.status).not.toBe(0)
      const warning = await sightd.line(({ msg }) => msg.startsWith('events are kept in memory only'))
      expect(warning['problem']).toMatch(/full/)
      await startMosquitto(port)
      const subscriber = await subscribe(port)
      const state = await subscriber.message(({ topic, text }) => topic.endsWith('/state') && /full/.test(text))
      expect(JSON.parse(state.text)).toMatchObject({
        status: 'running',
        outbox: { problem: expect.stringMatching(/full/) },
      })
      const event = await subscriber.message(({ topic }) => topic.endsWith('/event'))
      expect(JSON.parse(event.text)).toMatchObject({ type: 'new', seq: 0, replayed: true })
      expect(sightd.child.exitCode).toBe(null)
      sightd.child.kill('SIGTERM')
      expect(await sightd.exited).toBe(0)
    }, 60_000)

    test('read-only: the same, and it stores again when it can', async () => {
      const disk = await smallDisk()
      const sightd = await start(await freePort(), disk)
      await sightd.line(({ msg }) => msg === 'sees')
      writeFileSync(join(disk, 'proof'), '')
      execFileSync('mount', ['-o', 'remount,ro', disk])
      const warning = await sightd.line(({ msg }) => msg.startsWith('events are kept in memory only'))
      expect(warning['problem']).toMatch(/read-only/i)
      execFileSync('mount', ['-o', 'remount,rw', disk])
      await sightd.line(({ msg }) => msg === 'events can be stored again')
      sightd.child.kill('SIGTERM')
      expect(await sightd.exited).toBe(0)
    }, 60_000)
  },
)
