import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findProgram, freePort } from '../support/mosquitto.ts'
import { startGuardedCamera } from '../support/network-camera.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { demoPhotos, expectExact, supervise } from '../support/vision.ts'

const size = { width: 320, height: 240, fps: 10 }
const url = { source: 'url', ...size, transport: 'udp', hwaccel: 'none' } as const

/** A cat as an H.264 video of some seconds. */
async function catVideo(seconds: number): Promise<string> {
  const path = join(await tempFolder(), 'cat.mp4')
  const input = [
    '-loop',
    '1',
    '-i',
    join(demoPhotos, '1-chelsea.jpg'),
    '-t',
    String(seconds),
    '-r',
    '10',
    '-vf',
    'scale=320:240',
  ]
  await promisify(execFile)('ffmpeg', [
    '-v',
    'error',
    ...input,
    '-c:v',
    'libx264',
    '-bf',
    '0',
    '-g',
    '5',
    '-pix_fmt',
    'yuv420p',
    path,
  ])
  return path
}

function start(program: string, args: readonly string[]) {
  const child = spawn(program, args, { stdio: 'ignore' })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return child
}

async function listening(port: number): Promise<void> {
  await expect
    .poll(
      async () => {
        const socket = connect(port, '127.0.0.1')
        const isOpen = await once(socket, 'connect').then(
          () => true,
          () => false,
        )
        socket.destroy()
        return isOpen
      },
      { timeout: 10_000 },
    )
    .toBe(true)
}

describe.skipIf(findProgram('ffmpeg') === undefined)('network cameras (skipped where ffmpeg is not installed)', () => {
  test('a video file runs through, over and over, and the model finds the cat', async () => {
    const { next, supervisor, stopAndWait } = await supervise({
      source: { source: 'file', ...size, path: await catVideo(1) },
    })
    for (let from = 0; (await next('result', from)).frame.id < 15; ) from++
    expect((await next('result')).finding).toMatchObject({ detections: [{ label: 'cat' }] })
    await stopAndWait()
    expectExact(supervisor)
  })

  test.skipIf(findProgram('rtsp-server-perl') === undefined)(
    'an RTSP camera that goes away is told, and found again when it is back (skipped without rtsp-server-perl)',
    { timeout: 60_000 },
    async () => {
      const [clientPort, serverPort] = [await freePort(), await freePort()]
      const video = await catVideo(2)
      const bind = ['--client_listen_address', '127.0.0.1', '--source_listen_address', '127.0.0.1']
      const serve = async () => {
        const server = start('rtsp-server-perl', [
          '--clientport',
          String(clientPort),
          '--serverport',
          String(serverPort),
          ...bind,
        ])
        await listening(serverPort)
        const camera = start('ffmpeg', [
          '-v',
          'error',
          '-re',
          '-stream_loop',
          '-1',
          '-i',
          video,
          '-c',
          'copy',
          '-f',
          'rtsp',
          `rtsp://127.0.0.1:${serverPort}/cam`,
        ])
        return () => {
          server.kill('SIGKILL')
          camera.kill('SIGKILL')
        }
      }
      const { events, next, camera } = await supervise({
        source: { ...url, url: `rtsp://127.0.0.1:${clientPort}/cam` },
      })
      expect(await camera('absent')).toMatchObject({
        reason: expect.stringContaining('does not answer'),
        advice: expect.stringContaining('check the address'),
      })
      const unplug = await serve()
      await camera('online', events.length)
      await next('result', events.length)
      const from = events.length
      unplug()
      await camera('absent', from)
      await serve()
      await camera('online', events.length)
      await next('result', events.length)
    },
  )

  test('a password is in no command line and no message; a wrong one is a refused login', async () => {
    const secret = join(await tempFolder(), 'password')
    await writeFile(secret, 's3cr3t/@\n', { mode: 0o600 })
    const login = { ...url, url: (await startGuardedCamera()).url, username: 'me', password_file: secret }

    const right = await supervise({ source: login })
    await right.next('result')
    const commands = await Promise.all(
      (await readdir('/proc'))
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
    )
    expect(commands.filter((command) => command.startsWith('ffmpeg'))).not.toHaveLength(0)
    expect(commands.filter((command) => command.includes('s3cr3t'))).toEqual([])
    await right.stopAndWait()

    await writeFile(secret, 'wr0ng\n', { mode: 0o600 })
    const wrong = await supervise({ source: login })
    const { reason, advice } = await wrong.camera('denied')
    expect(reason).toContain('the camera refuses the login')
    expect(reason).not.toContain('wr0ng')
    expect(advice).toContain('camera.password_file')
  })
})
