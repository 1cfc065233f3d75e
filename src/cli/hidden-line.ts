import { StringDecoder } from 'node:string_decoder'

/**
 * A line from the terminal that doesn't show what is typed; undefined when whoever sits there gave up (Ctrl-C, Ctrl-D), or
 * `signal` aborted.
 */
export async function readHiddenLine(prompt: string, signal: AbortSignal): Promise<string | undefined> {
  const { stdin, stderr } = process
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const decoder = new StringDecoder('utf8')
  let line = ''
  const take = (chunk: Buffer) => {
    for (const key of decoder.write(chunk)) {
      if (key === '\r' || key === '\n') return resolve(line)
      // In raw mode Ctrl-C and Ctrl-D are keys like others.
      if (key === '\x03' || key === '\x04') return resolve(undefined)
      line = key === '\x7f' || key === '\b' ? line.slice(0, -1) : line + key
    }
  }
  const giveUp = () => resolve(undefined)
  // Before we ask: someone may type at once.
  stdin.setRawMode(true)
  // Not as an iterator, which gets nothing where readline has paused the stream before.
  stdin.on('data', take).once('end', giveUp).resume()
  signal.addEventListener('abort', giveUp)
  if (signal.aborted) giveUp()
  stderr.write(prompt)
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', giveUp)
    stdin.off('data', take).off('end', giveUp).pause()
    stdin.setRawMode(false)
    stderr.write('\n')
  }
}
