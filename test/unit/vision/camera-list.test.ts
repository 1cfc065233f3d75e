import { describe, expect, test } from 'vitest'
import { formatMode, fullViewMode, parseCameraList } from '../../../src/vision/camera-list.ts'

/** As rpicam-apps lists an imx219, and an older version without bit depth in the head. */
const list = `Available cameras
-----------------
0 : imx219 [3280x2464 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx219@10)
    Modes: 'SRGGB10_CSI2P' : 640x480 [206.65 fps - (1000, 752)/1280x960 crop]
                             1640x1232 [41.85 fps - (0, 0)/3280x2464 crop]
                             3280x2464 [21.19 fps - (0, 0)/3280x2464 crop]
           'SRGGB8' : 640x480 [206.65 fps - (1000, 752)/1280x960 crop]
                      1640x1232 [83.70 fps - (0, 0)/3280x2464 crop]

1 : ov5647 [2592x1944] (/base/soc/i2c0mux/i2c@1/ov5647@36)
    Modes: 'SGBRG10_CSI2P' : 640x480 [58.92 fps - (16, 0)/2560x1920 crop]
`

describe('parseCameraList', () => {
  test('reads cameras and their modes', () => {
    const [first, second] = parseCameraList(list)
    expect(first).toMatchObject({ index: 0, name: 'imx219', width: 3280, height: 2464 })
    expect(first?.modes.map(formatMode)).toEqual([
      '640:480:10:P',
      '1640:1232:10:P',
      '3280:2464:10:P',
      '640:480:8:U',
      '1640:1232:8:U',
    ])
    expect(second).toMatchObject({ index: 1, name: 'ov5647', width: 2592 })
  })

  test.each(['', 'No cameras available!\n', 'garbage\n0 : \n'])('finds none in %j', (text) => {
    expect(parseCameraList(text)).toEqual([])
  })
})

describe('fullViewMode', () => {
  const [imx219, ov5647] = parseCameraList(list)
  if (imx219 === undefined || ov5647 === undefined) throw new Error('no cameras')

  test.each([
    ['the smallest with the full view', imx219, 30, '1640:1232:10:P'],
    ['one that reaches the rate', imx219, 60, '1640:1232:8:U'],
    ['one that leaves out a few pixels', ov5647, 30, '640:480:10:P'],
  ])('takes %s', (_, camera, fps, mode) => {
    const chosen = fullViewMode(camera, fps)
    expect(chosen && formatMode(chosen)).toBe(mode)
  })

  test('takes none that is too slow, nor one whose crop can not be, as a camera in use lists them', () => {
    expect(fullViewMode(imx219, 100)).toBe(undefined)
    const inUse = { x: 65535, y: 65535, width: 65535, height: 65535 }
    expect(fullViewMode({ ...imx219, modes: imx219.modes.map((mode) => ({ ...mode, crop: inUse })) }, 10)).toBe(
      undefined,
    )
  })
})
