import * as v from 'valibot'

const clock = '(?:[01]\\d|2[0-3]):[0-5]\\d'

/** A part of each day, such as `22:00-06:00`: from the first minute on, up to the last but without it; over midnight too. */
export const dailyWindowSchema = v.pipe(
  v.string(),
  v.regex(new RegExp(`^${clock}-${clock}$`), 'two times of day such as 02:00-04:30'),
  v.check((text) => text.slice(0, 5) !== text.slice(6), 'two times of day that differ; left out for all day'),
)

/**
 * Whether a moment is in it by the local clock, as people read it: in the night in which the clock is put forward a window
 * in the hour that is left out does not come, and where it is put back one in the hour that is there twice comes twice.
 */
export function isInWindow(window: string, at: Date): boolean {
  const two = (number: number) => String(number).padStart(2, '0')
  const now = `${two(at.getHours())}:${two(at.getMinutes())}`
  const [from, to] = [window.slice(0, 5), window.slice(6)]
  return from < to ? from <= now && now < to : from <= now || now < to
}
