import type { Choice } from '../ui/dialog.ts';

/** Cron expressions that people choose from a list, with a time of day where they have one. */

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

export const PRESETS: readonly Choice[] = [
  { value: 'daily', label: 'Every day' },
  { value: 'weekdays', label: 'Every weekday' },
  ...[1, 2, 3, 4, 5, 6, 0].map((day) => ({ value: `weekly-${day}`, label: `Every ${DAYS[day]}` })),
  { value: 'monthly', label: 'On the first of every month' },
  { value: 'hourly', label: 'Every hour' },
  { value: 'custom', label: 'By a cron expression' },
];

export interface Chosen {
  readonly preset: string;
  /** `HH:MM`. */
  readonly time: string;
}

export function cronOf({ preset, time }: Chosen, custom: string): string {
  const [hour = 6, minute = 0] = time.split(':').map(Number);
  if (preset === 'hourly') return '0 * * * *';
  if (preset === 'daily') return `${minute} ${hour} * * *`;
  if (preset === 'weekdays') return `${minute} ${hour} * * 1-5`;
  if (preset === 'monthly') return `${minute} ${hour} 1 * *`;
  const day = /^weekly-(\d)$/.exec(preset)?.[1];
  return day === undefined ? custom : `${minute} ${hour} * * ${day}`;
}

/** The preset that an expression is of; `custom` for any other. */
export function chosenOf(cron: string): Chosen {
  if (cron === '0 * * * *' || cron === '@hourly') return { preset: 'hourly', time: '06:00' };
  const [, minute = '', hour = '', dayOfMonth, dayOfWeek = ''] = /^(\d{1,2}) (\d{1,2}) (\*|1) \* (\*|1-5|[0-6])$/.exec(cron) ?? [];
  const time = `${hour.padStart(2, '0')}:${minute.padStart(2, '0')}`;
  if (dayOfMonth === '*' && dayOfWeek === '*') return { preset: 'daily', time };
  if (dayOfMonth === '*') return { preset: dayOfWeek === '1-5' ? 'weekdays' : `weekly-${dayOfWeek}`, time };
  if (dayOfMonth === '1' && dayOfWeek === '*') return { preset: 'monthly', time };
  return { preset: 'custom', time: '06:00' };
}

/** An expression in words, where it is one of the presets. */
export function cronWords(cron: string): string {
  const { preset, time } = chosenOf(cron);
  const label = PRESETS.find(({ value }) => value === preset)?.label ?? '';
  if (preset === 'custom') return cron;
  return preset === 'hourly' ? label : `${label} at ${time}`;
}
