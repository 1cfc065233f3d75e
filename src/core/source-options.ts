import * as v from 'valibot'

/**
 * Where frames come from and how large and frequent they are: the `camera` section of the configuration. Every value that
 * reaches a command line is a number, a boolean, one of a list, or text of a shape that no shell reads anything into.
 */

const even = v.check((value: number) => value % 2 === 0, 'an even number')
const side = v.pipe(v.number(), v.integer(), v.minValue(32), v.maxValue(4096), even)
const share = (description: string) => v.pipe(v.number(), v.minValue(0), v.maxValue(1), v.description(description))
const path = (description: string) => v.pipe(v.string(), v.minLength(1), v.maxLength(1000), v.description(description))
const flag = (description: string) => v.pipe(v.optional(v.boolean(), false), v.description(description))

const size = {
  width: v.pipe(
    v.optional(side, 640),
    v.description('Width of a frame in pixels; even. 640 needs no padding on any board.'),
  ),
  height: v.pipe(v.optional(side, 480), v.description('Height of a frame in pixels; even.')),
  fps: v.pipe(
    v.optional(v.pipe(v.number(), v.minValue(0.1), v.maxValue(120)), 10),
    v.description('Frames per second.'),
  ),
}

/** Names and ranges of rpicam-apps (core/options.cpp, core/video_options.hpp). */
const libcamera = v.strictObject({
  source: v.literal('libcamera'),
  ...size,
  index: v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(15)), 0),
    v.description('Which camera, as `sightd camera list` numbers them.'),
  ),
  mode: v.pipe(
    v.optional(v.pipe(v.string(), v.regex(/^\d{2,5}:\d{2,5}:\d{1,2}:[PU]$/, 'a sensor mode such as 1640:1232:10:P'))),
    v.description('Sensor mode. Left out: the smallest that shows the full field of view.'),
  ),
  rotation: v.pipe(
    v.optional(v.picklist([0, 180]), 0),
    v.description('Turns the picture, for a camera that hangs upside down.'),
  ),
  hflip: flag('Mirrors the picture.'),
  vflip: flag('Turns the picture upside down, mirrored.'),
  roi: v.pipe(
    v.optional(
      v.strictObject({
        x: share('Left edge.'),
        y: share('Upper edge.'),
        width: share('Width.'),
        height: share('Height.'),
      }),
    ),
    v.description('Part of the sensor that is used, in 0 to 1: a digital zoom.'),
  ),
  exposure: v.pipe(
    v.optional(v.picklist(['normal', 'sport', 'long']), 'normal'),
    v.description('`sport` prefers short exposures, `long` long ones.'),
  ),
  shutter_us: v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200_000_000))),
    v.description('Fixed exposure time in microseconds. Left out: automatic.'),
  ),
  gain: v.pipe(
    v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(64))),
    v.description('Fixed gain. Left out: automatic.'),
  ),
  awb: v.pipe(
    v.optional(v.picklist(['auto', 'incandescent', 'tungsten', 'fluorescent', 'indoor', 'daylight', 'cloudy']), 'auto'),
    v.description('White balance.'),
  ),
  autofocus: v.pipe(
    v.optional(v.picklist(['default', 'manual', 'auto', 'continuous']), 'default'),
    v.description('Focus, on cameras that have one.'),
  ),
  lens_position: v.pipe(
    v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(32))),
    v.description('Focus in dioptres (0 is infinity), with `autofocus: manual`.'),
  ),
  denoise: v.pipe(
    v.optional(v.picklist(['auto', 'off', 'cdn_off', 'cdn_fast', 'cdn_hq']), 'cdn_off'),
    v.description('Colour denoise. Networks do not need it, and it costs frames.'),
  ),
})

const v4l2 = v.strictObject({
  source: v.literal('v4l2'),
  ...size,
  device: v.pipe(
    v.string(),
    v.regex(/^\/dev\/[A-Za-z0-9_./:+-]{1,200}$/, 'a path below /dev'),
    v.description(
      'A USB camera: `/dev/v4l/by-id/...` finds the same one again on any port, `/dev/video0` whichever is first.',
    ),
  ),
  input_format: v.pipe(
    v.optional(v.picklist(['mjpeg', 'yuyv422', 'nv12', 'h264'])),
    v.description('What the camera sends. Left out: what it prefers. Most give full rates with `mjpeg` only.'),
  ),
})

const networkProtocols = ['rtsp:', 'rtsps:', 'rtmp:', 'http:', 'https:', 'srt:', 'udp:', 'tcp:']

const network = v.strictObject({
  source: v.literal('url'),
  ...size,
  url: v.pipe(
    v.string(),
    v.maxLength(1000),
    v.check(
      (text) => URL.canParse(text) && networkProtocols.includes(new URL(text).protocol),
      `a URL such as rtsp://192.168.1.20/stream (${networkProtocols.map((name) => name.slice(0, -1)).join(', ')})`,
    ),
    v.check(
      (text) => `${URL.parse(text)?.username ?? ''}${URL.parse(text)?.password ?? ''}` === '',
      'a URL without user name and password: use camera.username and camera.password_file',
    ),
    v.regex(/^[^\s'"\\]*$/, 'a URL without spaces, quotes and backslashes'),
    v.description('A network camera.'),
  ),
  username: v.pipe(v.optional(v.pipe(v.string(), v.minLength(1))), v.description('User name at the network camera.')),
  password_file: v.pipe(
    v.optional(v.pipe(v.string(), v.minLength(1))),
    v.description('File whose first line is the password. Nobody but its owner may read it.'),
  ),
  transport: v.pipe(
    v.optional(v.picklist(['tcp', 'udp']), 'tcp'),
    v.description('How RTSP carries the picture; `tcp` loses nothing.'),
  ),
  hwaccel: v.pipe(
    v.optional(v.picklist(['none', 'auto', 'drm', 'vaapi']), 'none'),
    v.description("ffmpeg's hardware decoder."),
  ),
})

const file = v.strictObject({
  source: v.literal('file'),
  ...size,
  path: path('A video file, played in real time, over and over. A relative path starts at the folder of this file.'),
})

const replay = v.strictObject({
  source: v.literal('replay'),
  ...size,
  path: path(
    'A folder of JPEG and PNG pictures, or a video file (needs ffmpeg), over and over. A relative path starts at the folder of this file.',
  ),
})

const synthetic = v.strictObject({ source: v.literal('synthetic'), ...size })

export const sourceOptionsSchema = v.variant('source', [libcamera, v4l2, network, file, replay, synthetic])

export type SourceOptions = v.InferOutput<typeof sourceOptionsSchema>
export type LibcameraOptions = v.InferOutput<typeof libcamera>
export type FfmpegOptions = v.InferOutput<typeof v4l2> | v.InferOutput<typeof network> | v.InferOutput<typeof file>
export type FrameRate = { readonly width: number; readonly height: number; readonly fps: number }
