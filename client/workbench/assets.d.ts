/** Files that the build gives an address to. */
declare module '*.wasm?url' {
  const address: string;
  export default address;
}

declare module '*.css' {}

/** Plugins are imported for what they register; their declarations lead to sources that do not compile here. */
declare module '@perspective-dev/viewer-d3fc/dist/esm/perspective-viewer-d3fc.js' {}
declare module '@perspective-dev/viewer-datagrid/dist/esm/perspective-viewer-datagrid.js' {}

/** The browser's face of the library; programs for Node would otherwise be given that of Node. */
declare module '@perspective-dev/client/dist/esm/perspective.js' {
  const perspective: {
    init_server(wasm: ArrayBuffer, isPlain: boolean): void;
    worker(port: Promise<MessagePort>): Promise<import('@perspective-dev/client').Client>;
  };
  export default perspective;
}
