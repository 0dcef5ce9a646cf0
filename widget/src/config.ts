// Written into the bundle by scripts/pack.mjs from the environment.

declare const __REPLYBENCH_URL__: string;
declare const __CONNECTION__: string;
declare const __DESK_CONNECTION__: string;
declare const __ZOHO_DOMAIN__: string;

/** Address of the backend, without a slash at the end. */
export const BACKEND_URL: string = __REPLYBENCH_URL__;
/** Link name of the Zoho connection that holds the API key. */
export const CONNECTION: string = __CONNECTION__;
/** Link name of the Zoho connection that may read Desk tickets. */
export const DESK_CONNECTION: string = __DESK_CONNECTION__;
/** zoho.com, zoho.eu, zoho.in … */
export const ZOHO_DOMAIN: string = __ZOHO_DOMAIN__;
