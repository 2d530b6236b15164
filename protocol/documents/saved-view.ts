import * as z from 'zod/v4';
import { datasetId, versionId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { ref } from '../names.ts';
import { record } from '../record.ts';
import { author, instant, label, prose } from './fields.ts';
import { json } from './json.ts';
import { savedViewConfig } from './view-config.ts';

/** The languages in which the expressions of a view config are written; each engine reads one. */
export const EXPRESSION_DIALECTS = ['exprtk', 'sql'] as const;

/** An entry of `views`: a Y.Map of these fields, all plain JSON. A configuration is replaced whole, never mixed from two. */
const savedViewFields = {
  name: label(defaultLimits.savedViewNameCharsMax),
  description: prose(defaultLimits.descriptionCharsMax).optional(),
  config: savedViewConfig,
  plugin: label(defaultLimits.savedViewPluginCharsMax).describe('Name of the viewer plugin, such as Datagrid'),
  pluginConfig: json(defaultLimits.savedViewPluginBytesMax).optional(),
  columnsConfig: json(defaultLimits.savedViewPluginBytesMax).optional().describe('Formatting by column, as the viewer saves it'),
  dialect: z.enum(EXPRESSION_DIALECTS).describe('Language of `config.expressions`'),
  ref: ref.describe('The ref that the view was made on'),
  versionId: versionId.optional().describe('What the ref meant then'),
  columnTypes: record(z.string().max(defaultLimits.columnNameCharsMax), z.string().max(defaultLimits.savedViewPluginCharsMax))
    .optional()
    .describe('Types of the columns that the view uses, as they were then'),
  author,
  createdAt: instant,
  updatedAt: instant,
  updatedBy: author.optional(),
};

/** A view that everyone sees who sees the same of the dataset; in `dataset/{datasetId}`. */
export const sharedView = z.strictObject(savedViewFields);

/** A view of one person; in `user/{subject}`, which holds those of all datasets. */
export const privateView = z.strictObject({ ...savedViewFields, datasetId });

export type SharedView = z.output<typeof sharedView>;
export type PrivateView = z.output<typeof privateView>;
export type SavedView = SharedView | PrivateView;
