import { defineConfig } from "vitest/config";

export default defineConfig({
  define: {
    __REPLYBENCH_URL__: JSON.stringify("https://replybench.test"),
    __CONNECTION__: JSON.stringify("replybench"),
    __DESK_CONNECTION__: JSON.stringify("replybench_desk"),
    __ZOHO_DOMAIN__: JSON.stringify("zoho.com"),
  },
  test: { environment: "happy-dom", include: ["tests/**/*.test.ts"] },
});
