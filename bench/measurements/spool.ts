import { Ring } from '../../src/lib/ring.ts'
import { Spool } from '../../src/lib/spool.ts'
import { type Measurement, quantileFigures, told } from '../measurement.ts'
import { sampleEvent } from '../support/samples.ts'
import { tempFolder } from '../support/temp-folder.ts'

/** Events that one write to the disk takes. */
const batch = 40

export const spool: Measurement = {
  name: 'spool',
  about: 'an event into the spool, out and acknowledged, in memory; and a write of 40 events to the disk, synced',
  async run({ rounds }) {
    using folder = tempFolder()
    await using spool = await Spool.open({ folder: folder.path, maxBytes: 16 * 1024 * 1024, maxAgeMs: 3_600_000 })
    const payload = JSON.stringify(sampleEvent)
    const appended = new Ring(rounds(20_000))
    for (let round = -rounds(2000); round < rounds(20_000); round++) {
      const startMs = performance.now()
      spool.append(payload)
      const record = await spool.next()
      if (record !== undefined) spool.ack(record.seq)
      if (round >= 0) appended.push((performance.now() - startMs) * 1000)
    }
    const flushed = new Ring(rounds(50))
    for (let round = 0; round < rounds(50); round++) {
      for (let event = 0; event < batch; event++) spool.append(payload)
      const startMs = performance.now()
      await spool.flush()
      flushed.push(performance.now() - startMs)
      for (let record = await spool.next(); record !== undefined; record = await spool.next()) spool.ack(record.seq)
    }
    return {
      ...quantileFigures('event in memory', 'us', appended),
      // The disk's, not ours.
      'write to disk p50': told(flushed.quantile(0.5) ?? 0, 'ms'),
      'write to disk p95': told(flushed.quantile(0.95) ?? 0, 'ms'),
    }
  },
}
