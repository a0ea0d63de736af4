import { defineConfig } from "vite";

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    // The policy of the page allows no inline script or data: asset beyond images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
