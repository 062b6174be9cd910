"""Self-signed certificates, made with the openssl command."""
import subprocess


def make(path, names, serial=1):
    """Key and certificate in one PEM file, for all names. Returns the path."""
    key, cert = path.with_suffix(".key"), path.with_suffix(".crt")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
         "-keyout", str(key), "-out", str(cert), "-set_serial", str(serial), "-subj", f"/CN={names[0]}",
         "-addext", "subjectAltName=" + ",".join(f"DNS:{n}" for n in names)],
        check=True, capture_output=True)
    # Replaced in one step, as certificate tools do: a reload never sees half a file.
    whole = path.with_suffix(".new")
    whole.write_text(cert.read_text() + key.read_text())
    whole.rename(path)
    return path
