import { describe, expect, test } from 'vitest'
import type { VisionReport } from '../../../src/core/vision-protocol.ts'
import { DeviceState } from '../../../src/pipeline/device-state.ts'
import * as reports from './reports.ts'

type Down = Parameters<DeviceState['noteDown']>[0]

const crashed: Down = { reason: 'killed by SIGSEGV', fault: 'died' }
const badModel: Down = { reason: 'not an ONNX file', fault: 'model_invalid' }
const { ready, camera } = reports

function deviceAfter(...events: (VisionReport | Down)[]): DeviceState {
  const device = new DeviceState()
  for (const event of events) {
    if ('type' in event) device.noteReport(event)
    else device.noteDown(event)
  }
  return device
}

describe('the condition of a device', () => {
  test.each([
    ['starting', 'before the first report', []],
    ['starting', 'with a model and no camera yet', [ready]],
    ['starting', 'with a camera and no model yet', [camera('online')]],
    ['starting', 'while the camera starts', [ready, camera('starting')]],
    ['running', 'with both', [ready, camera('online')]],
    ['running', 'in whichever order they come', [camera('online'), ready]],
    ['degraded', 'after the camera failed', [ready, camera('online'), camera('failed', 'no device')]],
    ['running', 'when the camera is back', [ready, camera('failed', 'no device'), camera('online')]],
    ['degraded', 'after a crash', [ready, camera('online'), crashed]],
    ['degraded', 'while the process that crashed starts again', [ready, camera('online'), crashed, camera('online')]],
    ['starting', 'when the new process has its model', [ready, camera('online'), crashed, ready]],
    ['running', 'when the new process has its camera too', [ready, camera('online'), crashed, ready, camera('online')]],
    ['error', 'with a model that does not work', [badModel]],
    ['running', 'when the model was mended', [badModel, ready, camera('online')]],
  ])('is %s %s', (status, _, events) => {
    expect(deviceAfter(...events).condition.status).toBe(status)
  })

  test.each([
    [[ready, camera('online')], null],
    [[ready, camera('failed', 'no device')], 'no device; trying again'],
    [[crashed], 'killed by SIGSEGV; starting it again'],
    [[badModel], 'model: not an ONNX file; tried again when its files change'],
  ])('says why in a sentence (%#)', (events, reason) => {
    expect(deviceAfter(...events).condition.reason).toBe(reason)
  })
})

describe('what a device knows', () => {
  test('of its camera ends with the process', () => {
    expect(deviceAfter(ready, camera('failed', 'no device')).camera).toMatchObject({
      state: 'failed',
      reason: 'no device',
    })
    expect(deviceAfter(ready, camera('online'), crashed).camera).toMatchObject({ state: 'unknown', reason: null })
  })

  test('of its model follows a swap', () => {
    expect(deviceAfter(ready, reports.swapped).model?.version).toBe('2')
    expect(deviceAfter(ready, reports.candidate).model?.version).toBe('1')
  })

  test('of its model outlasts the process', () => {
    expect(deviceAfter().model).toBeUndefined()
    expect(deviceAfter(ready, crashed).model).toEqual(reports.model)
  })
})

describe('news', () => {
  test.each([
    ['is a camera that starts', [], camera('starting'), true],
    ['is a camera that fails', [camera('starting')], camera('failed', 'no device'), true],
    ['is another reason', [camera('failed', 'no device')], camera('failed', 'busy'), true],
    ['is a camera that is back', [camera('failed', 'no device')], camera('online'), true],
    ['is a model', [], ready, true],
    ['is not the same state again', [camera('online')], camera('online'), false],
    ['is not another try of a failed camera', [camera('failed', 'no device')], camera('starting'), false],
    [
      'is not the same failure after another try',
      [camera('failed', 'no device'), camera('starting')],
      camera('failed', 'no device'),
      false,
    ],
    ['is a camera that starts in a new process', [camera('failed', 'no device'), crashed], camera('starting'), true],
  ])('%s', (_, before, report, isNews) => {
    expect(deviceAfter(...before).noteReport(report)).toBe(isNews)
  })
})
