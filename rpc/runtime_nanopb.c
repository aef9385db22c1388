typedef int tess__placeholder;
