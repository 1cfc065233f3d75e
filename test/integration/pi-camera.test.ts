import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { runSightd } from '../support/daemon.ts'
import { piCamera, plugInCamera } from '../support/fake-camera.ts'
import { isRunning } from '../support/processes.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { expectExact, supervise } from '../support/vision.ts'

describe('a Raspberry Pi camera', () => {
  test.each([[['rpicam-vid']], [['libcamera-vid']]])('works where only %j is installed', async (names) => {
    await plugInCamera({ names })
    const { next, supervisor, stopAndWait } = await supervise({ source: piCamera })
    expect((await next('result')).finding).toMatchObject({ detections: [{ label: 'cat' }] })
    await stopAndWait()
    expectExact(supervisor)
  })

  test('is absent, in words, where neither is, and works when it is installed, without a restart', async () => {
    const camera = await plugInCamera({ names: [] })
    const watched = await supervise({ source: piCamera })
    const { reason, advice } = await watched.camera('absent')
    expect(reason).toContain('the camera program is not installed')
    expect(advice).toContain('sudo apt install rpicam-apps-core')
    await camera.install('rpicam-vid')
    await watched.next('result')
    expect(watched.supervisor.restarts).toBe(0)
  })

  test.each([
    ['vc4', 320],
    ['pisp', 384],
  ])('on %s its rows of 320 pixels are %i bytes long, which is found out', async (board, stride) => {
    const camera = await plugInCamera()
    await camera.setWorld({ board })
    const config = join(await tempFolder(), 'config.yaml')
    await writeFile(config, 'camera: { source: libcamera, width: 320, height: 240, fps: 30 }\n')
    const { code, stdout, stderr } = await runSightd(['camera', 'test', '--config', config, '--seconds', '1', '--json'])
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ width: 320, height: 240, stride, frames_stale: 0 })
    expect(JSON.parse(stdout).fps).toBeGreaterThan(25)
  })

  test('gets the smallest sensor mode with the full field of view, and stops on SIGINT', async () => {
    const camera = await plugInCamera()
    const { next, stopAndWait } = await supervise({ source: { ...piCamera, vflip: true, gain: 2 } })
    await next('result')
    await stopAndWait()
    const log = camera.log()
    const stream = log.findLast(({ event }) => event === 'start')
    expect(stream?.argv?.join(' ')).toContain('--mode 1640:1232:10:P')
    expect(stream?.argv?.join(' ')).toContain('--vflip --gain 2')
    expect(
      log.filter(({ pid }) => pid === stream?.pid).map(({ event, signal, code }) => signal ?? code ?? event),
    ).toEqual(['start', 'SIGINT', 'streamed', 0])
  })

  test('that a crashed daemon has left behind is ended at the next start', async () => {
    const camera = await plugInCamera()
    const base = await tempFolder()
    // No process has this pid: it is above the kernel's greatest.
    const crashed = join(base, 'sightd-run-99999999')
    await mkdir(crashed)
    const leftover = spawn(
      'rpicam-vid',
      ['--codec', 'yuv420', '--width', '320', '--height', '240', '--timeout', '0', '--output', '/dev/null'],
      { stdio: 'ignore' },
    )
    onTestFinished(() => {
      leftover.kill('SIGKILL')
    })
    await expect.poll(() => existsSync(join(camera.folder, 'camera.log'))).toBe(true)
    await writeFile(join(crashed, 'camera.pid'), String(leftover.pid))
    // Somebody else's, whatever it is called.
    await mkdir(join(base, '20260101'))
    const workDir = join(base, `sightd-run-${process.pid}`)
    await mkdir(workDir)
    const { next } = await supervise({ source: piCamera }, { workDir })
    await next('result')
    if (leftover.exitCode === null && leftover.signalCode === null) await once(leftover, 'exit')
    expect(isRunning(leftover.pid ?? 0)).toBe(false)
    expect(existsSync(crashed)).toBe(false)
    expect(existsSync(join(base, '20260101'))).toBe(true)
  })

  test('hostile values in the camera section reach no shell', async () => {
    await plugInCamera()
    const folder = await tempFolder()
    const hostile = `;$(touch ${folder}/owned)`
    for (const key of ['mode', 'exposure', 'awb', 'autofocus', 'denoise', 'index', 'rotation', 'gain', 'fps']) {
      const path = join(folder, 'config.yaml')
      await writeFile(path, `camera: { source: libcamera, ${key}: '${hostile}' }\n`)
      expect((await runSightd(['camera', 'test', '--config', path])).code, key).toBe(78)
    }
    expect(existsSync(join(folder, 'owned'))).toBe(false)
  })

  test('gives a snapshot with the cat in it', async () => {
    await plugInCamera()
    const folder = await tempFolder()
    const config = join(folder, 'config.yaml')
    await writeFile(config, 'camera: { source: libcamera }\n')
    const picture = join(folder, 'cat.jpg')
    expect((await runSightd(['camera', 'snapshot', picture, '--config', config])).code).toBe(0)
    expect(readFileSync(picture).subarray(0, 2).toString('hex')).toBe('ffd8')
    expect((await runSightd(['infer', picture])).stdout).toContain('cat')
  })

  test('is listed with its modes', async () => {
    await plugInCamera()
    const { code, stdout } = await runSightd(['camera', 'list', '--json'])
    expect(code).toBe(0)
    const [camera] = JSON.parse(stdout).libcamera
    expect(camera).toMatchObject({ index: 0, name: 'imx219', width: 3280, height: 2464 })
    expect(camera.modes[1]).toMatchObject({ width: 1640, height: 1232, bitDepth: 10, packing: 'P', maxFps: 41.85 })
  })
})
