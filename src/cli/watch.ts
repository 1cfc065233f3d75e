import { randomBytes } from 'node:crypto'
import { exitCodes } from '../core/errors.ts'
import { type BrokerOptions, chooseBroker, describeTrouble, passingSession } from './broker.ts'
import { keepWatching } from './watch/connection.ts'
import { watchedKinds } from './watch/messages.ts'
import { jsonView, lineView, screenView } from './watch/views.ts'

/** `sightd watch`: what all devices at a broker see, and how they are, until Ctrl-C. */
export async function watch(
  { json = false, ...options }: BrokerOptions & { readonly json?: boolean },
  signal: AbortSignal,
): Promise<number> {
  const broker = await chooseBroker(options)
  const { url, baseTopic } = broker
  const gone = new AbortController()
  let problem: Error | undefined
  // Whoever read us (`| head`) may have had enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') problem = error
    gone.abort()
  })
  {
    const open = json ? jsonView : process.stdout.isTTY ? screenView : lineView
    using view = open({ baseTopic, url })
    await keepWatching(
      {
        settings: passingSession(broker, `sightd-watch-${randomBytes(4).toString('hex')}`),
        filters: watchedKinds.map((kind) => `${baseTopic}/+/${kind}`),
        onMessage: (message) => view.take(message),
        onConnected: (refused) =>
          view.tellTrouble(
            refused.length === 0 ? undefined : `the broker lets us not subscribe to ${refused.join(', ')}`,
          ),
        onTrouble: (error) => view.tellTrouble(`${describeTrouble(error, url)}; trying again`),
      },
      AbortSignal.any([signal, gone.signal]),
    )
  }
  if (problem === undefined) return exitCodes.ok
  process.stderr.write(`sightd: can't write: ${problem.message}\n`)
  return exitCodes.failure
}
