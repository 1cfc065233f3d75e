import { describe, expect, test } from 'vitest'
import { cameraPatch, demoPictures, nameCamera, parseCamera } from '../../../../src/cli/setup/camera-answer.ts'
import { parseConfig } from '../../../../src/config/load.ts'
import { mergePatch } from '../../../../src/lib/json.ts'

const demo = { source: 'replay', path: demoPictures } as const
const named = [
  ['libcamera', { source: 'libcamera', index: 0 }],
  ['libcamera:1', { source: 'libcamera', index: 1 }],
  ['/dev/v4l/by-id/usb-C920-index0', { source: 'v4l2', device: '/dev/v4l/by-id/usb-C920-index0' }],
  ['rtsp://10.0.0.9/live', { source: 'url', url: 'rtsp://10.0.0.9/live' }],
  ['demo', demo],
] as const

describe('parseCamera', () => {
  test.each(named)('%s', (text, target) => {
    expect(parseCamera(text)).toEqual(target)
    expect(nameCamera(target)).toBe(text)
  })

  test.each([
    ['webcam', 'found "webcam", has to be libcamera, /dev/video0, a URL'],
    ['libcamera:99', 'index: found 99, has to be at most 15'],
    ['/dev/video0; rm', 'device: found "/dev/video0; rm", has to be a path below /dev'],
    ['ftp://a/b', 'has to be a URL such as rtsp://'],
    [
      'rtsp://me:hunter2@10.0.0.9/',
      'url: found "rtsp://***@10.0.0.9/", has to be a URL without user name and password',
    ],
  ])('refuses %s', (text, words) => {
    expect(() => parseCamera(text)).toThrow(words)
  })

  test('what has no such name is called after what it is', () => {
    expect(nameCamera({ source: 'file', path: 'a.mp4' })).toBe('configured: file a.mp4')
    expect(nameCamera({ source: 'synthetic' })).toBe('configured: synthetic')
  })
})

describe('cameraPatch', () => {
  test.each(named)('leaves %s as it is, with all its settings, when it is the configured one', (_, target) => {
    expect(cameraPatch(target, { fps: 3, input_format: 'mjpeg', ...target })).toEqual({})
  })

  test('the first camera of a board is the one without a number', () => {
    expect(cameraPatch(parseCamera('libcamera'), { source: 'libcamera' })).toEqual({})
    expect(
      cameraPatch(parseCamera('libcamera'), { source: 'libcamera', index: 1, mode: '640:480:10:P', fps: 3 }),
    ).toEqual({ source: 'libcamera', index: null, mode: null })
  })

  test('takes away what belongs to the camera before, and its password above all', () => {
    const network = { source: 'url', url: 'rtsp://a/', username: 'me', password_file: 'pw', transport: 'udp', fps: 3 }
    expect(cameraPatch(parseCamera('rtsp://b/'), network)).toEqual({
      source: 'url',
      url: 'rtsp://b/',
      username: null,
      password_file: null,
    })
    expect(cameraPatch(demo, network)).toEqual({
      ...demo,
      url: null,
      username: null,
      password_file: null,
      transport: null,
    })
  })

  test('leaves the login to the same host', () => {
    const network = { source: 'url', url: 'rtsp://a/1', username: 'me', password_file: 'pw' }
    expect(cameraPatch(parseCamera('rtsp://a:8554/2'), network)).toEqual({ source: 'url', url: 'rtsp://a:8554/2' })
  })

  test('a key that no camera has stays, to be told as a mistake', () => {
    expect(cameraPatch(demo, { source: 'libcamera', widht: 640, rotation: 180 })).toEqual({ ...demo, rotation: null })
  })

  test.each(named.flatMap(([from, before]) => named.map(([to, after]) => [from, to, before, after] as const)))(
    'from %s to %s is a camera that the schema takes',
    (_, __, before, after) => {
      const camera = { ...before, fps: 3, ...(before.source === 'libcamera' ? { rotation: 180, awb: 'indoor' } : {}) }
      const patched = mergePatch(camera, cameraPatch(after, camera))
      expect(parseConfig('', 'c.yaml', { camera: patched }).camera).toMatchObject({ ...after, fps: 3 })
    },
  )
})
