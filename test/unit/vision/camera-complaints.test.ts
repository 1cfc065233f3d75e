import { describe, expect, test } from 'vitest'
import { diagnoseFfmpeg, diagnoseRpicam } from '../../../src/vision/camera-complaints.ts'

describe('diagnoseRpicam', () => {
  test.each([
    ['ERROR: neither rpicam-vid nor libcamera-vid is on the PATH', 'absent', 'not installed', 'apt install'],
    ['ERROR: *** no cameras available ***', 'absent', 'no camera is connected', 'cable'],
    ['ERROR: *** selected camera is not available ***', 'absent', 'no camera with that index', 'camera.index'],
    ['Could not open any dmaHeap device\nERROR: *** no cameras available ***', 'denied', 'may not be opened', 'video'],
    ['ERROR: *** failed to acquire camera /base/i2c@1/imx219@10 ***', 'busy', 'another program', 'sightd doctor'],
    ['ERROR: the system appears to be configured for the legacy camera stack', 'absent', 'legacy', 'raspi-config'],
    ['ERROR: rpicam-apps currently only supports the Raspberry Pi platforms.', 'absent', 'no Raspberry Pi', 'v4l2'],
    ['ERROR: Device timeout detected, attempting a restart!!!', 'stalled', 'the sensor stopped answering', 'cable'],
  ])('%s', (words, state, means, advice) => {
    const error = diagnoseRpicam(words, 'exit code 255')
    expect(error.state).toBe(state)
    expect(error.message).toContain(means)
    expect(error.advice).toContain(advice)
  })

  test('what it does not know it quotes, or tells by the exit code', () => {
    expect(diagnoseRpicam('INFO: fine\nERROR: *** the moon is full ***\n', 'exit code 255')).toMatchObject({
      state: 'failed',
      message: 'camera: ERROR: *** the moon is full ***',
      advice: null,
    })
    const abort = "terminate called after throwing an instance of 'std::runtime_error'\n  what():  no space left\n"
    expect(diagnoseRpicam(abort, 'exit code 134').message).toBe('camera: what():  no space left')
    expect(diagnoseRpicam('', 'it ended with exit code 137').message).toBe('camera: it ended with exit code 137')
  })
})

describe('diagnoseFfmpeg', () => {
  test.each([
    ['[tcp @ 0x1] Connection to tcp://cam:554 failed: Connection refused', 'absent'],
    ['[http @ 0x1] HTTP error 401 Unauthorized', 'denied'],
    ['/dev/video0: Device or resource busy', 'busy'],
    ['/dev/video0: No such file or directory', 'absent'],
    ['x.mp4: Invalid data found when processing input', 'failed'],
  ])('%s is %s', (words, state) => {
    expect(diagnoseFfmpeg('it', words, 'exit code 1').state).toBe(state)
  })

  test('says the same of the same trouble, so that it is told once: ffmpeg puts an address in memory before its words', () => {
    const said = (address: string) =>
      diagnoseFfmpeg('cam', `[tcp @ ${address}] Connection to tcp://cam:554 failed: Connection refused`, '').message
    expect(said('0x55c5178c4640')).toBe(said('0x563219b6a640'))
    expect(said('0x1')).toBe('cam: it does not answer (Connection to tcp://cam:554 failed: Connection refused)')
  })

  test('repeats no password', () => {
    expect(diagnoseFfmpeg('cam', 'rtsp://me:hunter2@cam/x: Connection refused', '').message).not.toContain('hunter2')
    expect(diagnoseFfmpeg('cam', 'rtsp://me:hunter2@cam/x: odd error', '').message).not.toContain('hunter2')
  })
})
