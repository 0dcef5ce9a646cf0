/** Write the cookies that a Streamlit script cannot write, and name the page's language for screen readers. */
export default function remember({ data }) {
  const secure = window.location.protocol === "https:" ? "; Secure" : "";
  for (const [name, value] of Object.entries(data.cookies)) {
    const age = value ? 60 * 60 * 24 * 365 : 0;
    document.cookie = `${name}=${value}; Path=/; Max-Age=${age}; SameSite=Lax${secure}`;
  }
  document.documentElement.lang = data.language;
}
