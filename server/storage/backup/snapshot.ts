import { z } from 'zod/v4';

/** A file of the installation as the backup has it: what is stored, encrypted or not, with its hash. */
const StoredObject = z.object({
  /** Its path below the directory of objects. */
  name: z.string(),
  bytes: z.int().min(0),
  sha256: z.string(),
});

const Piece = z.string().regex(/^[0-9a-f]{64}$/);
const Count = z.int().min(0);

/** Table, list or secret of a backup as its lines were cut. */
const Pieces = z.array(Piece).readonly();

export const SNAPSHOT_FORMAT = 2;

/** One backup. What it is made of is shared with others: pieces by their content, objects by their names, which are never used again. */
const Current = z.object({
  format: z.literal(SNAPSHOT_FORMAT),
  snapshotId: z.string(),
  takenAt: z.iso.datetime(),
  deploymentId: z.string(),
  migrations: z.array(z.string()).readonly(),
  sequences: z.array(z.object({ name: z.string(), lastValue: z.string() })).readonly(),
  tables: z.array(z.object({ name: z.string(), columns: z.array(z.string()).readonly(), rows: Count, pieces: Pieces })).readonly(),
  /** Lists StoredObject, one a line. */
  objects: z.object({ pieces: Pieces, count: Count, bytes: Count }),
  /** Files of the data directory that go with the objects: secrets and the wrapped key. */
  secrets: z.array(z.object({ name: z.string(), piece: Piece })).readonly(),
  /** Objects that were missing or not what the metadata says of them when the backup was taken. */
  damaged: z.array(z.string()).readonly(),
  /** The last object of which the copy in the directory was read again; absent: the last of all. */
  checkedTo: z.string().optional(),
});

/** Of before tables and lists were cut. */
const Uncut = Current.extend({
  format: z.literal(1),
  tables: z.array(z.object({ name: z.string(), columns: z.array(z.string()).readonly(), rows: Count, piece: Piece })).readonly(),
  objects: z.object({ piece: Piece, count: Count, bytes: Count }),
}).transform(
  ({ tables, objects: { piece, ...objects }, ...rest }): z.infer<typeof Current> => ({
    ...rest,
    format: SNAPSHOT_FORMAT,
    tables: tables.map(({ piece: only, ...table }) => ({ ...table, pieces: [only] })),
    objects: { ...objects, pieces: [piece] },
  }),
);

export const Snapshot = z.union([Current, Uncut]);

export type StoredObject = Readonly<z.infer<typeof StoredObject>>;
export type Snapshot = Readonly<z.infer<typeof Snapshot>>;

/** Undefined: the line is none. */
export function readStoredObject(line: string): StoredObject | undefined {
  try {
    return StoredObject.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

export const piecesOf = ({ tables, objects, secrets }: Snapshot): string[] => [
  ...tables.flatMap(({ pieces }) => pieces),
  ...objects.pieces,
  ...secrets.map(({ piece }) => piece),
];

export const idOfMoment = (takenAt: string): string => takenAt.toLowerCase().replaceAll(/[-:.]/g, '');

/** The moment that a backup is of, by its name alone. */
export function momentOfId(snapshotId: string): string {
  return snapshotId.replace(/^(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)(\d{3})z$/, '$1-$2-$3T$4:$5:$6.$7Z');
}
