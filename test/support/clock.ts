/** Loaded before a program (`--import`): its clock is `CLOCK_DAYS` days ahead. */

const { now } = Date
const aheadMs = Number(process.env['CLOCK_DAYS']) * 86_400_000

Date.now = () => now() + aheadMs
