import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access, realpath } from 'node:fs/promises'
import { CameraError } from '../core/camera-state.ts'
import { SightdError } from '../core/errors.ts'
import type { Frame } from '../core/frame.ts'
import type { FfmpegOptions } from '../core/source-options.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'
import { readSecretFile } from '../lib/secret-file.ts'
import { diagnoseFfmpeg } from './camera-complaints.ts'
import { endProgram, forgetPid, recordPid } from './camera-process.ts'
import { splitFrames } from './raw-frames.ts'
import type { FrameSource } from './source.ts'

/** What of ffmpeg's complaints is kept for the error message. */
const maxWords = 2000

/** What a network camera's stream may be made of; nothing that opens local files. */
const networkProtocols = 'pipe,fd,rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,crypto,rtmp,srt'

/** USB cameras, network cameras and video files: one ffmpeg child that writes full-range I420 in tight rows. */
export async function openFfmpeg(options: FfmpegOptions): Promise<FrameSource> {
  const { width, height, fps } = options
  const geometry = { width, height, stride: width }
  const input = await inputOf(options)
  const filter = `fps=${fps},scale=${width}:${height}:out_range=full:out_color_matrix=bt601`
  const output = ['-an', '-sn', '-vf', filter, '-pix_fmt', 'yuvj420p', '-f', 'rawvideo', 'pipe:1']
  const args = ['-nostdin', '-hide_banner', '-loglevel', 'error', ...input.args, ...output]
  return { geometry, frames: (pool, signal) => play({ ...input, args, geometry, frameMs: 1000 / fps }, pool, signal) }
}

type Input = {
  readonly args: readonly string[]
  /** What goes to its standard input: what other users must not read in a list of processes. */
  readonly secretInput: string
  /** How messages name it. */
  readonly target: string
}

async function inputOf(options: FfmpegOptions): Promise<Input> {
  if (options.source === 'file')
    return { args: ['-re', '-stream_loop', '-1', '-i', `file:${options.path}`], secretInput: '', target: options.path }
  if (options.source === 'v4l2') return deviceInput(options)
  const { url, username, password_file: passwordFile, transport, hwaccel } = options
  const decoder = hwaccel === 'none' ? [] : ['-hwaccel', hwaccel]
  const isRtsp = /^rtsps?:/.test(url)
  const { protocol, host, pathname, search } = new URL(url)
  // A query may hold a login as well, so it is not shown either.
  const shown = `${protocol}//${host}${pathname}`
  if (username === undefined && search === '') {
    const network = ['-protocol_whitelist', networkProtocols, ...(isRtsp ? ['-rtsp_transport', transport] : [])]
    return { args: [...decoder, ...network, '-i', url], secretInput: '', target: shown }
  }
  const withLogin = new URL(url)
  if (username !== undefined) withLogin.username = encodeURIComponent(username)
  if (passwordFile !== undefined) withLogin.password = encodeURIComponent(await readSecretFile(passwordFile))
  // ffmpeg has no other way to take a URL than its command line, which anyone may read, or a list from its input.
  const list = `ffconcat version 1.0\nfile '${withLogin.href.replaceAll("'", '%27')}'\n${isRtsp ? `option rtsp_transport ${transport}\n` : ''}`
  const args = [...decoder, '-f', 'concat', '-safe', '0', '-protocol_whitelist', networkProtocols, '-i', 'pipe:0']
  return { args, secretInput: list, target: shown }
}

/** A by-id path is a link to whatever number the camera has today, so it is resolved at each try. */
async function deviceInput({
  device,
  input_format: format,
  width,
  height,
  fps,
}: Extract<FfmpegOptions, { source: 'v4l2' }>): Promise<Input> {
  const path = await realpath(device).catch((error: unknown) => {
    throw new CameraError('absent', `${device}: no such camera`, 'plug it in, or see sightd camera list', {
      cause: error,
    })
  })
  await access(path, constants.R_OK | constants.W_OK).catch((error: unknown) => {
    throw new CameraError(
      'denied',
      `${device}: may not be opened`,
      'add the user to the group video (sudo usermod -aG video NAME) and restart the service',
      { cause: error },
    )
  })
  const wanted = ['-video_size', `${width}x${height}`, '-framerate', String(fps)]
  return {
    args: ['-f', 'v4l2', ...(format === undefined ? [] : ['-input_format', format]), ...wanted, '-i', path],
    secretInput: '',
    target: device,
  }
}

type Play = Input & { readonly geometry: FrameSource['geometry']; readonly frameMs: number }

async function* play(
  { args, secretInput, target, geometry, frameMs }: Play,
  pool: BufferPool,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const child = spawn('ffmpeg', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-maxWords)
  })
  const exited = Promise.withResolvers<string>()
  child.once('error', (error: NodeJS.ErrnoException) => {
    const isMissing = error.code === 'ENOENT'
    exited.reject(
      new CameraError(
        isMissing ? 'absent' : 'failed',
        isMissing ? `${target}: ffmpeg is needed for it and is not installed` : `ffmpeg can't be started for ${target}`,
        isMissing ? 'sudo apt install ffmpeg' : null,
        { cause: error },
      ),
    )
  })
  child.once('close', (code, killer) =>
    exited.resolve(killer === null ? `ffmpeg ended with exit code ${code}` : `ffmpeg was ended by ${killer}`),
  )
  // Awaited below, once the frames have run out; until then a failure must not count as unhandled.
  exited.promise.catch(() => {})
  // It may be gone before it has read its input; then its exit says more than this.
  child.stdin.on('error', () => {})
  child.stdin.end(secretInput)
  const stop = () => child.stdout.destroy()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    recordPid(child.pid)
    // Not destroyed with the loop: `stop` and the end below decide when nobody reads any more.
    const chunks: AsyncIterable<Uint8Array> = child.stdout.iterator({ destroyOnReturn: false })
    yield* splitFrames(chunks, { geometry, frameMs }, pool)
    if (!signal.aborted) throw diagnoseFfmpeg(target, words, await exited.promise)
  } catch (error) {
    if (signal.aborted) return
    throw error instanceof CameraError || error instanceof SightdError
      ? error
      : new CameraError('failed', `${target}: reading failed`, null, { cause: error })
  } finally {
    signal.removeEventListener('abort', stop)
    child.stdout.destroy()
    if (child.pid !== undefined) await endProgram(child.pid)
    forgetPid()
  }
}
