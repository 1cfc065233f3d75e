import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { sourceOptionsSchema } from '../../../src/core/source-options.ts'

const accepts = (options: unknown) => v.is(sourceOptionsSchema, options)

describe('sourceOptionsSchema', () => {
  test('asks for little: the rest has defaults', () => {
    expect(v.parse(sourceOptionsSchema, { source: 'replay', path: 'photos' })).toEqual({
      source: 'replay',
      path: 'photos',
      width: 640,
      height: 480,
      fps: 10,
    })
  })

  test.each([{ width: 32 }, { width: 4096 }, { height: 32 }, { height: 4096 }, { fps: 0.1 }, { fps: 120 }])(
    'accepts %o, the end of its range',
    (change) => {
      expect(accepts({ source: 'replay', path: 'photos', ...change })).toBe(true)
    },
  )

  test.each([
    { path: '' },
    { path: undefined },
    { source: 'webcam' },
    { width: 30 },
    { width: 4098 },
    { width: 641 },
    { height: 481 },
    { height: 480.5 },
    { height: '480' },
    { fps: 0 },
    { fps: 121 },
    { fps: Number.NaN },
    { fpss: 10 },
  ])('refuses %o', (change) => {
    expect(accepts({ source: 'replay', path: 'photos', ...change })).toBe(false)
  })

  test.each([
    ['libcamera', {}],
    ['libcamera', { mode: '1640:1232:10:P', rotation: 180, roi: { x: 0, y: 0, width: 0.5, height: 0.5 }, gain: 2 }],
    ['v4l2', { device: '/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920-video-index0', input_format: 'mjpeg' }],
    ['url', { url: 'rtsp://192.168.1.20:554/stream?channel=1' }],
    ['file', { path: 'a.mp4' }],
    ['synthetic', {}],
  ])('accepts %s with %o', (source, options) => {
    expect(accepts({ source, ...options })).toBe(true)
  })

  // Every text that can reach a command line, with something in it that a shell or ffmpeg would act upon.
  test.each([
    ['libcamera', { mode: '1640:1232:10:P;$(touch x)' }],
    ['libcamera', { exposure: 'normal;$(touch x)' }],
    ['libcamera', { awb: '$(touch x)' }],
    ['libcamera', { autofocus: '`touch x`' }],
    ['libcamera', { denoise: 'off && touch x' }],
    ['libcamera', { index: '0;$(touch x)' }],
    ['v4l2', { device: '/dev/video0;$(touch x)' }],
    ['v4l2', { device: '/etc/passwd' }],
    ['v4l2', { device: '/dev/video0', input_format: 'mjpeg -f lavfi' }],
    ['url', { url: 'file:///etc/passwd' }],
    ['url', { url: "rtsp://host/'\noption" }],
    ['url', { url: 'rtsp://me:secret@host/' }],
    ['url', { url: 'rtsp://host/a b' }],
    ['url', { url: 'rtsp://host/', transport: 'tcp;touch x' }],
  ])('refuses %s with %o', (source, options) => {
    expect(accepts({ source, ...options })).toBe(false)
  })
})
