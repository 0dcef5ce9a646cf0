import { CrmHost } from "./hosts/crm";
import { startWidget } from "./widget";

declare const ZOHO: ConstructorParameters<typeof CrmHost>[0];

void startWidget(new CrmHost(ZOHO), document.getElementById("widget") ?? document.body);
