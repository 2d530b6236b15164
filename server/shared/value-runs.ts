import * as Y from 'yjs';

/**
 * How many values of a list Yjs puts together as one item. It copies all that it has with each that comes to them, so that without an end
 * tens of thousands of small items of one edit, or of one log, would be copied as often as there are items.
 */
const VALUES_MAX = 16_384;

// In place for good, since V8 compiles anew what uses a prototype that changes.
for (const { prototype } of [Y.ContentAny, Y.ContentJSON]) {
  const { mergeWith } = prototype;
  prototype.mergeWith = function (this: Y.ContentAny & Y.ContentJSON, right: Y.ContentAny & Y.ContentJSON): boolean {
    return this.getLength() + right.getLength() <= VALUES_MAX && mergeWith.call(this, right);
  };
}
