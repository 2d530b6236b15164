import type { Scenario } from '../measurement.ts';
import { access } from './access.ts';
import { append } from './append.ts';
import { backup } from './backup.ts';
import { churn } from './churn.ts';
import { coAnalysis } from './co-analysis.ts';
import { commit } from './commit.ts';
import { connections } from './connections.ts';
import { contention } from './contention.ts';
import { diff } from './diff.ts';
import { documentCursors } from './document-cursors.ts';
import { documentDurable } from './document-durable.ts';
import { documentFanOut } from './document-fan-out.ts';
import { documentIdle } from './document-idle.ts';
import { documentOpen } from './document-open.ts';
import { documentStalled } from './document-stalled.ts';
import { flightsOpen } from './flights-open.ts';
import { history } from './history.ts';
import { metadata } from './metadata.ts';
import { operations } from './operations.ts';
import { pivots } from './pivots.ts';
import { restart } from './restart.ts';
import { rpc } from './rpc.ts';
import { sessions } from './sessions.ts';
import { sizes } from './sizes.ts';
import { tableGrowth } from './table-growth.ts';
import { tableMemory } from './table-memory.ts';
import { tableOpen } from './table-open.ts';
import { tableSessions } from './table-sessions.ts';
import { workbench } from './workbench.ts';

/** In the order in which they run: those that need a quiet machine most come first. */
export const scenarios: readonly Scenario[] = [
  rpc,
  coAnalysis,
  access,
  connections,
  sessions,
  metadata,
  history,
  operations,
  contention,
  append,
  commit,
  diff,
  sizes,
  tableOpen,
  flightsOpen,
  pivots,
  tableSessions,
  tableGrowth,
  tableMemory,
  workbench,
  documentFanOut,
  documentIdle,
  documentOpen,
  documentStalled,
  documentCursors,
  documentDurable,
  restart,
  backup,
  churn,
];
