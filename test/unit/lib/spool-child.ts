import { closeSync, openSync, writeSync } from 'node:fs'
import { Spool } from '../../../src/lib/spool.ts'

/** A process that works with a spool until it is killed, or through with it, and says on its standard output what it has done. */

const [task, folder = '', run = ''] = process.argv.slice(2)

/** Written when it returns: a kill can't take it back. */
const say = (...words: (string | number)[]) => writeSync(1, `${words.join(' ')}\n`)
const upTo = (count: number) => Math.floor(Math.random() * (count + 1))

const spool = await Spool.open({ folder, maxBytes: 1024 * 1024, maxAgeMs: 1e12, segmentBytes: 8192 })

async function workForEver(): Promise<never> {
  for (let n = 0; ; ) {
    for (let i = upTo(6); i > 0; i--, n++) {
      const id = `${run}:${n}`
      say('appended', spool.append(`${id} ${'x'.repeat(upTo(400))}`), id)
    }
    for (let i = upTo(8); i > 0; i--) {
      const record = await spool.next()
      if (record === undefined || upTo(9) === 0) continue
      // Before it is done, so that no one waits for it any more.
      say('acked', record.payload.replace(/ .*/, ''))
      spool.ack(record.seq)
    }
    if (upTo(3) === 0) spool.rewind()
    if (upTo(1) === 0) {
      await spool.flush()
      say('stored', spool.counts.stored)
    }
  }
}

async function fill(): Promise<void> {
  for (let flushes = 0; flushes < 10; flushes++) {
    for (let i = 0; i < 10; i++) spool.append(`${flushes}${i} ${'x'.repeat(377)}`)
    await spool.flush()
    say(JSON.stringify({ ...spool.counts, problem: spool.problem }))
  }
}

/** Needs records on the disk, and a low limit on open files. */
async function runShort(): Promise<void> {
  const open: number[] = []
  try {
    for (;;) open.push(openSync('/dev/null', 'r'))
  } catch {
    say(JSON.stringify({ next: (await spool.next())?.seq, ...spool.counts }))
  }
  for (const fd of open) closeSync(fd)
  say(JSON.stringify({ next: (await spool.next())?.seq, ...spool.counts }))
}

await (task === 'fill' ? fill() : task === 'short' ? runShort() : workForEver())
