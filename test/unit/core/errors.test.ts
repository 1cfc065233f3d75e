import { describe, expect, test } from 'vitest'
import { describeError, SightdError } from '../../../src/core/errors.ts'

describe('describeError', () => {
  test.each([
    ['a message', new Error('disk is full'), 'disk is full'],
    [
      'a message with its causes, in order',
      new SightdError('image_invalid', 'a.mp4: can not be read', {
        cause: new Error('ffmpeg failed', { cause: new Error('exit 1') }),
      }),
      'a.mp4: can not be read: ffmpeg failed: exit 1',
    ],
    ['a cause that is no error', new Error('stopped', { cause: 'SIGKILL' }), 'stopped: SIGKILL'],
    ['what is no error', 'plain text', 'plain text'],
    ['nothing', undefined, 'undefined'],
  ])('says %s', (_, error, text) => {
    expect(describeError(error)).toBe(text)
  })
})

test('a SightdError carries its code, its message and its cause', () => {
  const cause = new Error('no such file')
  const error = new SightdError('model_invalid', 'model.onnx: missing', { cause })
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({ name: 'SightdError', code: 'model_invalid', message: 'model.onnx: missing', cause })
})
