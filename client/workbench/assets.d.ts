/** Files that the build gives an address to. */
declare module '*.wasm?url' {
  const address: string;
  export default address;
}

declare module '*.css' {}

/** Plugins are imported for what they register; their declarations lead to sources that do not compile here. */
declare module '@perspective-dev/viewer-d3fc/dist/esm/perspective-viewer-d3fc.js' {}
declare module '@perspective-dev/viewer-datagrid/dist/esm/perspective-viewer-datagrid.js' {}
